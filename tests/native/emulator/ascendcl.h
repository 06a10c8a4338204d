// AscendCL as a program sees it: the prototypes, and what tests need to start from.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include "acl/abi.h"

#define TEST_PROTOTYPE(ret, name, params) extern "C" ret name params;
#define ACL_REQUIRED TEST_PROTOTYPE
#define ACL_OPTIONAL TEST_PROTOTYPE
#define ACL_EMULATED TEST_PROTOTYPE
#include "acl/functions.def"
#undef ACL_REQUIRED
#undef ACL_OPTIONAL
#undef ACL_EMULATED
#undef TEST_PROTOTYPE

namespace test {

// An environment variable for the time in scope; aclInit reads it.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

// aclInit to aclFinalize; texts of failures before are forgotten.
class Library {
 public:
  Library() : code_(aclInit(nullptr)) { aclGetRecentErrMsg(); }
  ~Library() { aclFinalize(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  aclError code() const { return code_; }

 private:
  aclError code_;
};

// The library with device 0 set in this thread.
class Device {
 public:
  Device() { aclrtSetDevice(0); }

 private:
  Library library_;
};

// The same with faults injected.
class FaultyDevice {
 public:
  explicit FaultyDevice(const std::string& faults) : variable_("NPUSERVE_EMULATOR_FAULTS", faults) {
    aclrtSetDevice(0);
  }

 private:
  Variable variable_;
  Library library_;
};

inline void* device_memory(std::size_t bytes) {
  void* address = nullptr;
  aclrtMalloc(&address, bytes, ACL_MEM_MALLOC_HUGE_FIRST);
  return address;
}

template <class T = std::byte>
T* pinned_memory(std::size_t count) {
  void* address = nullptr;
  aclrtMallocHost(&address, count * sizeof(T));
  return static_cast<T*>(address);
}

inline aclrtStream new_stream() {
  aclrtStream stream = nullptr;
  aclrtCreateStream(&stream);
  return stream;
}

inline std::string recent_text() {
  const char* const text = aclGetRecentErrMsg();
  return text == nullptr ? "" : text;
}

// What device memory holds.
template <class T>
std::vector<T> read_device(const void* address, std::size_t count) {
  std::vector<T> values(count);
  const std::size_t bytes = count * sizeof(T);
  aclrtMemcpy(values.data(), bytes, address, bytes, ACL_MEMCPY_DEVICE_TO_HOST);
  return values;
}

}  // namespace test
