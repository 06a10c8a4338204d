#include <doctest/doctest.h>

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <thread>

#include "emulator/ascendcl.h"
#include "emulator/gate.h"

namespace {

std::size_t free_bytes() {
  std::size_t free = 0;
  std::size_t total = 0;
  REQUIRE(aclrtGetMemInfo(ACL_HBM_MEM, &free, &total) == ACL_SUCCESS);
  return free;
}

// Whether this process can read a byte there: the kernel says so without a fault.
bool host_can_read(const void* address) {
  char byte = 0;
  iovec local{&byte, 1};
  iovec remote{const_cast<void*>(address), 1};
  return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1;
}

// Plain host memory, aligned to pages.
struct Pages {
  explicit Pages(std::size_t bytes) : data(std::aligned_alloc(4096, bytes)) {}
  ~Pages() { std::free(data); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  void* data;
};

aclrtMemLocationType location_of(const void* address) {
  aclrtPtrAttributes attributes{};
  REQUIRE(aclrtPointerGetAttributes(address, &attributes) == ACL_SUCCESS);
  return attributes.location.type;
}

}  // namespace

TEST_CASE("the host cannot read device memory by accident, but pinned memory it can") {
  const test::Device device;
  void* memory = test::device_memory(1 << 20);
  CHECK_FALSE(host_can_read(memory));
  CHECK_FALSE(host_can_read(static_cast<char*>(memory) + 4096));
  void* pinned = test::pinned_memory(64);
  CHECK(host_can_read(pinned));
  aclrtFreeHost(pinned);
}

TEST_CASE("device addresses are aligned to 64 bytes and memory is not zeroed") {
  const test::Device device;
  for (const std::size_t bytes : {1, 31, 100, 5000}) {
    void* memory = test::device_memory(bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(memory) % 64 == 0);
    const std::vector<std::uint8_t> content = test::read_device<std::uint8_t>(memory, bytes);
    CHECK(std::all_of(content.begin(), content.end(), [](std::uint8_t byte) { return byte == 0xFF; }));
  }
}

TEST_CASE("freed memory that is given out again is poisoned again") {
  const test::Variable small("NPUSERVE_EMULATOR_MEMORY_BYTES", "4096");
  const test::Device device;
  for (int round = 0; round < 3; ++round) {
    void* memory = test::device_memory(1024);
    CHECK(test::read_device<std::int32_t>(memory, 256)[255] == -1);
    CHECK(aclrtMemset(memory, 1024, 0, 1024) == ACL_SUCCESS);
    CHECK(test::read_device<std::int32_t>(memory, 256)[255] == 0);
    CHECK(aclrtFree(memory) == ACL_SUCCESS);
  }
}

TEST_CASE("an allocation is accounted as its size rounded up to 32 plus 32, and a free gives it back") {
  const test::Device device;
  const std::size_t before = free_bytes();
  CHECK(before == std::size_t{64} << 30);
  void* first = test::device_memory(100);
  CHECK(before - free_bytes() == 128 + 32);
  void* second = nullptr;
  CHECK(aclrtMallocAlign32(&second, 100, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_SUCCESS);
  CHECK(before - free_bytes() == 160 + 128);
  aclrtMemUsageInfo usage{};
  std::size_t entries = 0;
  CHECK(aclrtGetMemUsageInfo(0, &usage, 1, &entries) == ACL_SUCCESS);
  CHECK(usage.curMemSize == 288);
  aclrtFree(first);
  aclrtFree(second);
  CHECK(free_bytes() == before);
  CHECK(aclrtGetMemUsageInfo(0, &usage, 1, &entries) == ACL_SUCCESS);
  CHECK(usage.curMemSize == 0);
  CHECK(usage.memPeakSize == 288);
}

TEST_CASE("an exhausted device refuses with 207001 and tells what is free") {
  const test::Variable small("NPUSERVE_EMULATOR_MEMORY_BYTES", "1048576");
  const test::Device device;
  void* half = test::device_memory(600000);
  void* rest = nullptr;
  CHECK(aclrtMalloc(&rest, 600000, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_ERROR_RT_MEMORY_ALLOCATION);
  CHECK(rest == nullptr);
  const std::string text = test::recent_text();
  CHECK(text.find("EL0004") == 0);
  CHECK(text.find("of 1048576 bytes free, fewer than the 600000 asked for") != std::string::npos);
  aclrtFree(half);
  CHECK(aclrtMalloc(&rest, 600000, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_SUCCESS);
  CHECK(aclrtMalloc(&rest, std::numeric_limits<std::size_t>::max(), ACL_MEM_MALLOC_HUGE_FIRST) ==
        ACL_ERROR_RT_MEMORY_ALLOCATION);
  aclGetRecentErrMsg();
}

TEST_CASE("every device has memory of its own") {
  const test::Variable devices("NPUSERVE_EMULATOR_DEVICES", "2");
  const test::Device device;
  const std::size_t before = free_bytes();
  aclrtSetDevice(1);
  void* memory = test::device_memory(1 << 20);
  CHECK(free_bytes() < before);
  aclrtPtrAttributes attributes{};
  CHECK(aclrtPointerGetAttributes(memory, &attributes) == ACL_SUCCESS);
  CHECK(attributes.location.id == 1);
  aclrtSetDevice(0);
  CHECK(free_bytes() == before);
  void* other = test::device_memory(1 << 20);
  CHECK(aclrtMemcpy(other, 64, memory, 64, ACL_MEMCPY_DEVICE_TO_DEVICE) == ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
  aclGetRecentErrMsg();
}

TEST_CASE("an allocation of nothing, to nowhere or by no policy is invalid") {
  const test::Device device;
  void* memory = nullptr;
  CHECK(aclrtMalloc(&memory, 0, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtMalloc(nullptr, 64, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtMalloc(&memory, 64, static_cast<aclrtMemMallocPolicy>(0x9999)) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtMallocHost(&memory, 0) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtMallocHost(nullptr, 64) == ACL_ERROR_INVALID_PARAM);
  aclGetRecentErrMsg();
}

TEST_CASE("only the start of a live allocation can be freed, once") {
  const test::Device device;
  void* memory = test::device_memory(256);
  int host = 0;
  CHECK(aclrtFree(static_cast<char*>(memory) + 64) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(test::recent_text().find("inside an allocation") != std::string::npos);
  CHECK(aclrtFree(&host) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(aclrtFree(nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtFree(memory) == ACL_SUCCESS);
  CHECK(aclrtFree(memory) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(aclrtFreeHost(&host) == ACL_ERROR_RT_PARAM_INVALID);
  aclGetRecentErrMsg();
}

TEST_CASE("memory that queued work still uses is not freed: 207002, until the stream has passed the work") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  void* memory = test::device_memory(256);
  void* pinned = test::pinned_memory(256);
  test::Gate gate(stream);
  REQUIRE(aclrtMemcpyAsync(memory, 256, pinned, 256, ACL_MEMCPY_HOST_TO_DEVICE, stream) == ACL_SUCCESS);
  CHECK(aclrtFree(memory) == ACL_ERROR_RT_MEMORY_FREE);
  CHECK(aclrtFreeHost(pinned) == ACL_ERROR_RT_MEMORY_FREE);
  CHECK(test::recent_text().find("queued work still uses the memory") != std::string::npos);
  gate.open();
  CHECK(aclrtFreeWithDevSync(memory) == ACL_SUCCESS);
  CHECK(aclrtFreeHost(pinned) == ACL_SUCCESS);
}

TEST_CASE("a fill is bounded by what the caller says and by the allocation") {
  const test::Device device;
  void* memory = test::device_memory(64);
  CHECK(aclrtMemset(memory, 64, 0x11, 64) == ACL_SUCCESS);
  CHECK(test::read_device<std::uint8_t>(memory, 64)[63] == 0x11);
  CHECK(aclrtMemset(memory, 64, 0, 0) == ACL_SUCCESS);
  CHECK(aclrtMemset(memory, 64, 0, 65) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(aclrtMemset(memory, 128, 0, 65) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(test::recent_text().find("does not lie within one live device allocation") != std::string::npos);
  CHECK(aclrtMemsetAsync(memory, 64, 0x22, 32, nullptr) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(nullptr) == ACL_SUCCESS);
  CHECK(test::read_device<std::uint8_t>(memory, 64)[31] == 0x22);
  CHECK(test::read_device<std::uint8_t>(memory, 64)[32] == 0x11);
}

TEST_CASE("the place of a pointer is told: device, host that the library knows, or unregistered") {
  const test::Device device;
  void* memory = test::device_memory(256);
  void* pinned = test::pinned_memory(64);
  const auto plain = std::make_unique<int>(0);
  CHECK(location_of(static_cast<char*>(memory) + 100) == ACL_MEM_LOCATION_TYPE_DEVICE);
  CHECK(location_of(pinned) == ACL_MEM_LOCATION_TYPE_HOST);
  CHECK(location_of(plain.get()) == ACL_MEM_LOCATION_TYPE_UNREGISTERED);
  aclrtFree(memory);
  aclrtPtrAttributes attributes{};
  CHECK(aclrtPointerGetAttributes(memory, &attributes) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(aclrtPointerGetAttributes(nullptr, &attributes) == ACL_ERROR_INVALID_PARAM);
  aclrtFreeHost(pinned);
  aclGetRecentErrMsg();
}

TEST_CASE("pinned memory is aligned to 64 bytes, filled with poison and outlives aclFinalize") {
  std::int32_t* pinned = nullptr;
  {
    const test::Device device;
    pinned = test::pinned_memory<std::int32_t>(16);
    CHECK(reinterpret_cast<std::uintptr_t>(pinned) % 64 == 0);
    CHECK(pinned[15] == -1);
    pinned[15] = 7;
  }
  CHECK(pinned[15] == 7);
  const test::Device device;
  CHECK(aclrtFreeHost(pinned) == ACL_SUCCESS);
}

TEST_CASE("host memory is registered once, and pinned by its flag") {
  const test::Device device;
  const Pages pages(8192);
  CHECK(aclrtHostRegisterV2(pages.data, 8192, ACL_HOST_REG_PINNED) == ACL_SUCCESS);
  CHECK(location_of(pages.data) == ACL_MEM_LOCATION_TYPE_HOST);
  CHECK(aclrtHostRegisterV2(pages.data, 8192, ACL_HOST_REG_PINNED) == ACL_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  CHECK(aclrtHostRegisterV2(static_cast<char*>(pages.data) + 4096, 4096, ACL_HOST_REG_MAPPED) ==
        ACL_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  CHECK(aclrtHostUnregister(pages.data) == ACL_SUCCESS);
  CHECK(aclrtHostUnregister(pages.data) == ACL_ERROR_HOST_MEMORY_NOT_REGISTERED);
  CHECK(location_of(pages.data) == ACL_MEM_LOCATION_TYPE_UNREGISTERED);
  aclGetRecentErrMsg();
}

TEST_CASE("mapped host memory has a device pointer, until it is unregistered") {
  const test::Device device;
  const Pages pages(4096);
  void* mapped = nullptr;
  CHECK(aclrtHostRegister(pages.data, 4096, ACL_HOST_REGISTER_MAPPED, &mapped) == ACL_SUCCESS);
  CHECK(mapped != nullptr);
  void* again = nullptr;
  CHECK(aclrtHostGetDevicePointer(pages.data, &again, 0) == ACL_SUCCESS);
  CHECK(again == mapped);
  CHECK(aclrtHostUnregister(pages.data) == ACL_SUCCESS);
  CHECK(aclrtHostGetDevicePointer(pages.data, &again, 0) == ACL_ERROR_HOST_MEMORY_NOT_REGISTERED);
  CHECK(aclrtHostRegister(static_cast<char*>(pages.data) + 64, 64, ACL_HOST_REGISTER_MAPPED, &mapped) ==
        ACL_ERROR_RT_ADDR_UNALIGNED);
  CHECK(aclrtHostRegister(nullptr, 64, ACL_HOST_REGISTER_MAPPED, &mapped) == ACL_ERROR_INVALID_PARAM);
  aclGetRecentErrMsg();
}

TEST_CASE("memory that is pinned by allocation cannot be pinned by registration") {
  const test::Device device;
  void* pinned = nullptr;
  REQUIRE(aclrtMallocHost(&pinned, 3 * 4096) == ACL_SUCCESS);
  const std::uintptr_t address = (reinterpret_cast<std::uintptr_t>(pinned) + 4095) / 4096 * 4096;
  void* page = reinterpret_cast<void*>(address);
  CHECK(aclrtHostRegisterV2(page, 4096, ACL_HOST_REG_PINNED) == ACL_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  CHECK(aclrtHostRegisterV2(page, 4096, ACL_HOST_REG_MAPPED) == ACL_SUCCESS);
  CHECK(aclrtFreeHost(pinned) == ACL_ERROR_RT_MEMORY_FREE);
  CHECK(aclrtHostUnregister(page) == ACL_SUCCESS);
  CHECK(aclrtFreeHost(pinned) == ACL_SUCCESS);
  aclGetRecentErrMsg();
}

TEST_CASE("many threads allocate, fill, copy and free at once without meeting each other's bytes") {
  const test::Device device;
  const std::size_t before = free_bytes();
  aclrtContext context = nullptr;
  aclrtGetCurrentContext(&context);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (std::size_t thread = 0; thread < wrong.size(); ++thread) {
    threads.emplace_back([&, thread] {
      aclrtSetCurrentContext(context);
      const aclrtStream stream = test::new_stream();
      auto* pinned = test::pinned_memory<std::uint8_t>(3000);
      for (std::size_t round = 0; round < 100; ++round) {
        const std::size_t bytes = 1 + round * 29;
        const auto value = static_cast<std::uint8_t>(thread * 50 + round % 50);
        void* memory = test::device_memory(bytes);
        aclrtMemsetAsync(memory, bytes, value, bytes, stream);
        aclrtMemcpyAsync(pinned, bytes, memory, bytes, ACL_MEMCPY_DEVICE_TO_HOST, stream);
        aclrtSynchronizeStream(stream);
        if (std::any_of(pinned, pinned + bytes, [&](std::uint8_t byte) { return byte != value; })) ++wrong[thread];
        if (aclrtFree(memory) != ACL_SUCCESS) ++wrong[thread];
      }
      aclrtFreeHost(pinned);
      aclrtDestroyStream(stream);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4));
  CHECK(free_bytes() == before);
}
