#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "emulator/ascendcl.h"
#include "emulator/gate.h"

TEST_CASE("bytes go to the device, across it and back") {
  const test::Device device;
  std::vector<int> values(1000);
  std::iota(values.begin(), values.end(), 0);
  const std::size_t bytes = values.size() * sizeof(int);
  void* first = test::device_memory(bytes);
  void* second = test::device_memory(bytes);
  CHECK(aclrtMemcpy(first, bytes, values.data(), bytes, ACL_MEMCPY_HOST_TO_DEVICE) == ACL_SUCCESS);
  CHECK(aclrtMemcpy(second, bytes, first, bytes, ACL_MEMCPY_DEVICE_TO_DEVICE) == ACL_SUCCESS);
  CHECK(test::read_device<int>(second, values.size()) == values);
  std::vector<int> copy(values.size());
  CHECK(aclrtMemcpy(copy.data(), bytes, second, bytes, ACL_MEMCPY_DEFAULT) == ACL_SUCCESS);
  CHECK(copy == values);
  CHECK(aclrtMemcpy(copy.data(), 8, values.data() + 5, 8, ACL_MEMCPY_HOST_TO_HOST) == ACL_SUCCESS);
  CHECK(copy[1] == 6);
}

TEST_CASE("a part of an allocation can be copied, what goes beyond it cannot") {
  const test::Device device;
  char* memory = static_cast<char*>(test::device_memory(100));
  char host[200] = {};
  CHECK(aclrtMemcpy(memory + 60, 40, host, 40, ACL_MEMCPY_HOST_TO_DEVICE) == ACL_SUCCESS);
  CHECK(aclrtMemcpy(memory + 60, 41, host, 41, ACL_MEMCPY_HOST_TO_DEVICE) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(test::recent_text().find("aclrtMemcpy: dst with 41 bytes does not lie within one live device allocation") !=
        std::string::npos);
  aclrtFree(memory);
  CHECK(aclrtMemcpy(host, 4, memory, 4, ACL_MEMCPY_DEVICE_TO_HOST) == ACL_ERROR_RT_PARAM_INVALID);
  aclGetRecentErrMsg();
}

TEST_CASE("copying nothing succeeds; NULL, too much and kinds of other calls do not") {
  const test::Device device;
  void* memory = test::device_memory(64);
  char host[64] = {};
  CHECK(aclrtMemcpy(memory, 0, host, 0, ACL_MEMCPY_HOST_TO_DEVICE) == ACL_SUCCESS);
  CHECK(aclrtMemcpy(nullptr, 64, host, 64, ACL_MEMCPY_HOST_TO_DEVICE) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtMemcpy(memory, 64, nullptr, 64, ACL_MEMCPY_HOST_TO_DEVICE) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtMemcpy(memory, 32, host, 64, ACL_MEMCPY_HOST_TO_DEVICE) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(aclrtMemcpy(memory, 0, host, 64, ACL_MEMCPY_HOST_TO_DEVICE) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(aclrtMemcpy(memory, 64, memory, 64, ACL_MEMCPY_DEVICE_TO_DEVICE) == ACL_SUCCESS);
  CHECK(aclrtMemcpy(memory, 64, host, 64, ACL_MEMCPY_INNER_DEVICE_TO_DEVICE) == ACL_ERROR_INVALID_PARAM);
  aclGetRecentErrMsg();
}

TEST_CASE("a kind that contradicts the addresses is refused and both are named") {
  const test::Device device;
  void* memory = test::device_memory(64);
  char host[64] = {};
  CHECK(aclrtMemcpy(host, 64, memory, 64, ACL_MEMCPY_HOST_TO_DEVICE) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(test::recent_text().find("dst is host memory, but the kind says device") != std::string::npos);
  CHECK(aclrtMemcpy(host, 64, memory, 64, ACL_MEMCPY_HOST_TO_HOST) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(test::recent_text().find("src is device memory, but the kind says host") != std::string::npos);
  CHECK(aclrtMemcpyAsync(memory, 64, host, 64, ACL_MEMCPY_DEVICE_TO_HOST, nullptr) == ACL_ERROR_RT_PARAM_INVALID);
  aclGetRecentErrMsg();
}

TEST_CASE("an asynchronous copy from pinned memory has not happened before its stream comes to it") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  int* source = test::pinned_memory<int>(4);
  int* result = test::pinned_memory<int>(4);
  source[3] = 42;
  void* memory = test::device_memory(16);
  test::Gate gate(stream);
  CHECK(aclrtMemcpyAsync(memory, 16, source, 16, ACL_MEMCPY_HOST_TO_DEVICE, stream) == ACL_SUCCESS);
  CHECK(aclrtMemcpyAsync(result, 16, memory, 16, ACL_MEMCPY_DEVICE_TO_HOST, stream) == ACL_SUCCESS);
  CHECK(result[3] == -1);
  CHECK(test::read_device<int>(memory, 4)[3] == -1);
  gate.open();
  CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
  CHECK(result[3] == 42);
  aclrtFreeHost(source);
  aclrtFreeHost(result);
}

TEST_CASE("an asynchronous copy from pageable memory waits for its stream and is done on return") {
  const test::Device device;
  void* memory = test::device_memory(4);
  auto host = std::make_unique<int>(5);
  CHECK(aclrtMemcpyAsync(memory, 4, host.get(), 4, ACL_MEMCPY_HOST_TO_DEVICE, nullptr) == ACL_SUCCESS);
  host.reset();
  CHECK(test::read_device<int>(memory, 1)[0] == 5);
}

TEST_CASE("an asynchronous copy between host addresses is not supported") {
  const test::Device device;
  int* first = test::pinned_memory<int>(1);
  int* second = test::pinned_memory<int>(1);
  CHECK(aclrtMemcpyAsync(first, 4, second, 4, ACL_MEMCPY_HOST_TO_HOST, nullptr) == ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
  aclrtFreeHost(first);
  aclrtFreeHost(second);
  aclGetRecentErrMsg();
}

TEST_CASE("memory registered as pinned is copied asynchronously, and cannot be unregistered meanwhile") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  void* pages = std::aligned_alloc(4096, 4096);
  void* memory = test::device_memory(64);
  REQUIRE(aclrtHostRegisterV2(pages, 4096, ACL_HOST_REG_PINNED) == ACL_SUCCESS);
  test::Gate gate(stream);
  CHECK(aclrtMemcpyAsync(memory, 64, pages, 64, ACL_MEMCPY_HOST_TO_DEVICE, stream) == ACL_SUCCESS);
  CHECK(aclrtHostUnregister(pages) == ACL_ERROR_RT_MEMORY_FREE);
  gate.open();
  CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
  CHECK(aclrtHostUnregister(pages) == ACL_SUCCESS);
  std::free(pages);
  aclGetRecentErrMsg();
}
