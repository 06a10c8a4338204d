// A shared memory object for tests, and requests that refer to it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include "protobuf_fields.h"

namespace npuserve::wire::test {

// As a client has it: mapped whole, for as long as it lives.
class SharedObject {
 public:
  explicit SharedObject(size_t bytes) : bytes_(bytes), file_(memfd_create("npuserve_test", MFD_CLOEXEC)) {
    resize(bytes);
    memory_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (memory_ == MAP_FAILED) throw std::runtime_error("no memory for a shared object");
  }
  ~SharedObject() {
    munmap(memory_, bytes_);
    close(file_);
  }
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;

  int file() const { return file_; }

  void resize(size_t bytes) const {
    if (ftruncate(file_, static_cast<off_t>(bytes)) != 0) throw std::runtime_error("no room for a shared object");
  }

  void write(size_t offset, std::string_view text) { std::memcpy(at(offset), text.data(), text.size()); }
  std::string read(size_t offset, size_t bytes) const { return {at(offset), bytes}; }

 private:
  char* at(size_t offset) const { return static_cast<char*>(memory_) + offset; }

  const size_t bytes_;
  const int file_;
  void* memory_ = nullptr;
};

// The parameters (field `number` of a tensor) that refer to shared memory.
inline std::string reference(uint32_t number, const std::string& region, uint64_t offset, uint64_t byte_size) {
  const auto entry = [&](const std::string& key, const std::string& value) {
    return field(number, field(1, key) + field(2, value));
  };
  return entry("shared_memory_region", field(3, region)) + entry("shared_memory_offset", field(2, offset)) +
         entry("shared_memory_byte_size", field(2, byte_size));
}

// A request to "copy" of one FP32 row of four that is read from a region, and written to it.
inline std::string shared_request(const std::string& id, const std::string& region, uint64_t from, uint64_t to) {
  const std::string tensor = field(1, "x") + field(2, "FP32") + field(3, packed({1, 4}));
  return field(1, "copy") + field(3, id) + field(5, tensor + reference(4, region, from, 16)) +
         field(6, field(1, "y") + reference(2, region, to, 16));
}

}  // namespace npuserve::wire::test
