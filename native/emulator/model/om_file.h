// The OM file: the vendor's 256-byte header with a private marker, then our own sections.
//
//   offset 0    header as the vendor lays it out: magic, header size, version, length, name, model_length ...
//   offset 120  userdefineinfo[32]: the marker that says who compiled the file
//   offset 256  section table: for each section offset and size in bytes (from the file's start) and a checksum
//   then        metadata, graph (OpenVINO's XML), weights; each starts at a multiple of 64
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

#include "emulator/model/metadata.h"

namespace emulator {

// Why a file is no model. Each has its AscendCL code (ascendcl: 145002, 145006, 545001, 545002, 500002).
enum class OmFault { unreadable, wrong_length, vendor_made, damaged, not_a_model };

class OmError : public std::runtime_error {
 public:
  OmError(OmFault fault, const std::string& text) : std::runtime_error(text), fault_(fault) {}
  OmFault fault() const { return fault_; }

 private:
  OmFault fault_;
};

// The bytes of a file or of a caller's memory, 64-byte aligned; shared by all that reads weights from them.
class OmBytes {
 public:
  // Throws OmError (unreadable) when the file is missing, unreadable or empty.
  static std::shared_ptr<const OmBytes> read(const std::filesystem::path& path);
  static std::shared_ptr<const OmBytes> copy(const void* data, size_t size);

  // For those two: `size` bytes, not yet set.
  explicit OmBytes(size_t size);
  ~OmBytes();
  OmBytes(const OmBytes&) = delete;
  OmBytes& operator=(const OmBytes&) = delete;

  std::span<const std::byte> all() const { return {data_, size_}; }

 private:
  std::byte* data_;
  size_t size_;
};

struct OmFile {
  std::shared_ptr<const OmBytes> bytes;  // keeps what `weights` looks at
  Metadata metadata;
  std::string graph;
  std::span<const std::byte> weights;
  uint64_t identity;  // equal for equal files: a digest of the sections
};

// Throws OmError.
OmFile parse_om(std::shared_ptr<const OmBytes> bytes);
// Throws OmError (unreadable) when the file cannot be written.
void write_om(const std::filesystem::path& path, const std::string& name, const Metadata& metadata,
              const std::string& graph, std::span<const std::byte> weights);

}  // namespace emulator
