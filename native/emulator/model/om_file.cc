#include "emulator/model/om_file.h"

#include <cstring>
#include <fstream>
#include <new>
#include <vector>

namespace emulator {
namespace {

constexpr uint32_t kMagic = 0x444F4D49U;
constexpr uint32_t kVersion = 0x20000000U;
constexpr size_t kHeaderBytes = 256;
constexpr size_t kAlignment = 64;
constexpr std::string_view kMarker = "npuserve emulator OM 1";

struct Header {
  uint32_t magic;
  uint32_t header_bytes;
  uint32_t version;
  uint8_t checksum[64];
  uint32_t length;
  uint8_t encrypted;
  uint8_t checksum_flag;
  uint8_t model_type;
  uint8_t mode;
  char name[32];
  uint32_t ops;
  char user_defined[32];
  uint32_t ir_version;
  uint32_t model_num;
  uint8_t platform_version[20];
  uint8_t platform_type;
  uint8_t padding[3];
  uint64_t model_length;
  uint8_t os_cpu_check;
  uint8_t is_dynamic;
  uint8_t reserved[62];
};
static_assert(sizeof(Header) == kHeaderBytes);
static_assert(offsetof(Header, length) == 76 && offsetof(Header, name) == 84 && offsetof(Header, user_defined) == 120);
static_assert(offsetof(Header, ir_version) == 152 && offsetof(Header, model_length) == 184 &&
              offsetof(Header, is_dynamic) == 193);

struct Section {
  uint64_t offset;
  uint64_t size;
  uint64_t checksum;
};
using Table = std::array<Section, 3>;
enum : size_t { kMetadata, kGraph, kWeights };

// FNV-1a over 8-byte words: it has to notice damage, at the speed of memory, not to resist forgery.
uint64_t checksum_of(std::span<const std::byte> bytes) {
  constexpr uint64_t kPrime = 0x100000001B3ULL;
  uint64_t hash = 0xCBF29CE484222325ULL ^ bytes.size();
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    hash = (hash ^ word) * kPrime;
    hash ^= hash >> 29;
  }
  for (; at < bytes.size(); ++at) hash = (hash ^ static_cast<uint64_t>(bytes[at])) * kPrime;
  return hash;
}

size_t aligned(size_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; }

Header read_header(std::span<const std::byte> file) {
  Header header{};
  if (file.size() < kHeaderBytes) {
    throw OmError(OmFault::wrong_length, "the model has " + std::to_string(file.size()) +
                                             " bytes, less than the 256 of an OM header: it is truncated or no OM");
  }
  std::memcpy(&header, file.data(), sizeof(header));
  if (header.magic != kMagic || header.header_bytes != kHeaderBytes) {
    throw OmError(OmFault::not_a_model, "the model does not start with an OM header (magic 0x444F4D49)");
  }
  if (std::string_view(header.user_defined, kMarker.size()) != kMarker) {
    throw OmError(OmFault::vendor_made,
                  "the OM was compiled by the vendor's atc (or by another release of the emulator's): it holds NPU "
                  "kernels, which the emulator cannot run. Recompile the ONNX model with this emulator's atc");
  }
  if (header.model_length != file.size() - kHeaderBytes) {
    throw OmError(OmFault::wrong_length, "the OM's header announces " + std::to_string(header.model_length) +
                                             " bytes after it, the file has " +
                                             std::to_string(file.size() - kHeaderBytes) +
                                             ": it is truncated or damaged");
  }
  return header;
}

std::span<const std::byte> section(std::span<const std::byte> file, const Section& entry, const char* what) {
  if (entry.offset > file.size() || entry.size > file.size() - entry.offset) {
    throw OmError(OmFault::damaged,
                  std::string("the OM's section table is damaged: ") + what + " lies outside the file");
  }
  const std::span<const std::byte> bytes = file.subspan(entry.offset, entry.size);
  if (checksum_of(bytes) != entry.checksum) {
    throw OmError(OmFault::damaged, std::string("the OM is damaged: the checksum of its ") + what + " does not match");
  }
  return bytes;
}

}  // namespace

OmBytes::OmBytes(size_t size)
    : data_(static_cast<std::byte*>(::operator new(size, std::align_val_t(kAlignment)))), size_(size) {}

OmBytes::~OmBytes() { ::operator delete(data_, std::align_val_t(kAlignment)); }

std::shared_ptr<const OmBytes> OmBytes::read(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    throw OmError(OmFault::unreadable, "model file " + path.string() + " does not exist or is no regular file");
  }
  const auto size = static_cast<size_t>(std::filesystem::file_size(path, error));
  std::ifstream file(path, std::ios::binary);
  if (error || !file) throw OmError(OmFault::unreadable, "model file " + path.string() + " cannot be read");
  if (size == 0) throw OmError(OmFault::unreadable, "model file " + path.string() + " is empty");
  const auto bytes = std::make_shared<OmBytes>(size);
  file.read(reinterpret_cast<char*>(bytes->data_), static_cast<std::streamsize>(size));
  if (!file) throw OmError(OmFault::unreadable, "model file " + path.string() + " cannot be read to its end");
  return bytes;
}

std::shared_ptr<const OmBytes> OmBytes::copy(const void* data, size_t size) {
  const auto bytes = std::make_shared<OmBytes>(size);
  std::memcpy(bytes->data_, data, size);
  return bytes;
}

OmFile parse_om(std::shared_ptr<const OmBytes> bytes) {
  const std::span<const std::byte> file = bytes->all();
  read_header(file);
  Table table{};
  if (file.size() < kHeaderBytes + sizeof(table)) {
    throw OmError(OmFault::wrong_length, "the OM ends inside its section table");
  }
  std::memcpy(table.data(), file.data() + kHeaderBytes, sizeof(table));
  OmFile result;
  const std::span<const std::byte> graph = section(file, table[kGraph], "graph");
  result.weights = section(file, table[kWeights], "weights");
  try {
    result.metadata = decode(section(file, table[kMetadata], "metadata"));
  } catch (const OmError&) {
    throw;
  } catch (const std::exception& error) {
    throw OmError(OmFault::damaged, std::string("the OM is damaged: ") + error.what());
  }
  result.graph.assign(reinterpret_cast<const char*>(graph.data()), graph.size());
  result.identity = checksum_of(std::as_bytes(std::span(table)));
  result.bytes = std::move(bytes);
  return result;
}

void write_om(const std::filesystem::path& path, const std::string& name, const Metadata& metadata,
              const std::string& graph, std::span<const std::byte> weights) {
  const std::vector<std::byte> encoded = encode(metadata);
  const std::array<std::span<const std::byte>, 3> sections{encoded, std::as_bytes(std::span(graph)), weights};
  Table table{};
  size_t end = kHeaderBytes + sizeof(table);
  for (size_t i = 0; i < sections.size(); ++i) {
    table[i] = {aligned(end), sections[i].size(), checksum_of(sections[i])};
    end = table[i].offset + table[i].size;
  }
  Header header{};
  header.magic = kMagic;
  header.header_bytes = kHeaderBytes;
  header.version = kVersion;
  header.model_type = 1;
  header.model_num = 1;
  header.model_length = end - kHeaderBytes;
  header.length = static_cast<uint32_t>(std::min<uint64_t>(header.model_length, UINT32_MAX));
  name.copy(header.name, sizeof(header.name) - 1);
  kMarker.copy(header.user_defined, sizeof(header.user_defined));

  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(&header), sizeof(header));
  file.write(reinterpret_cast<const char*>(table.data()), sizeof(table));
  for (size_t i = 0; i < sections.size(); ++i) {
    const auto gap = static_cast<std::streamoff>(table[i].offset) - file.tellp();
    file << std::string(static_cast<size_t>(gap), '\0');
    file.write(reinterpret_cast<const char*>(sections[i].data()), static_cast<std::streamsize>(sections[i].size()));
  }
  file.close();
  if (!file) throw OmError(OmFault::unreadable, "model file " + path.string() + " cannot be written");
}

}  // namespace emulator
