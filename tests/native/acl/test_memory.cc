#include "acl/memory.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "acl/context.h"
#include "acl/copy.h"
#include "acl/errors.h"
#include "acl/stream.h"
#include "device.h"

using device_test::code_of;
using device_test::Fault;
using device_test::needs_device;
using device_test::open_runtime;
using device_test::Setting;
using npuserve::acl::Context;
using npuserve::acl::copy;
using npuserve::acl::copy_async;
using npuserve::acl::CopyKind;
using npuserve::acl::DeviceMemory;
using npuserve::acl::PinnedMemory;
using npuserve::acl::Stream;

namespace {

constexpr int kOutOfMemory = 207001;

std::vector<std::uint8_t> counting(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  return bytes;
}

}  // namespace

TEST_CASE("every block is counted, device and pinned alike, and its size is told" * needs_device()) {
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const DeviceMemory device(*runtime, 100);
  const PinnedMemory pinned(*runtime, 200);
  CHECK(device.size_bytes() == 100);
  CHECK(pinned.size_bytes() == 200);
  CHECK(reinterpret_cast<std::uintptr_t>(device.data()) % 64 == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(pinned.data()) % 64 == 0);
  CHECK(runtime->allocations() == 2);
  {
    const DeviceMemory another(*runtime, 1);
  }
  CHECK(runtime->allocations() == 3);
}

TEST_CASE("bytes survive the way to the device and back, waiting for each copy" * needs_device()) {
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const std::vector<std::uint8_t> sent = counting(1000);
  std::vector<std::uint8_t> received(sent.size());
  const DeviceMemory first(*runtime, sent.size());
  const DeviceMemory second(*runtime, sent.size());
  copy(*runtime, first.data(), first.size_bytes(), sent.data(), sent.size(), CopyKind::kHostToDevice);
  copy(*runtime, second.data(), second.size_bytes(), first.data(), sent.size(), CopyKind::kDeviceToDevice);
  copy(*runtime, received.data(), received.size(), second.data(), sent.size(), CopyKind::kDeviceToHost);
  CHECK(received == sent);
}

TEST_CASE("bytes survive the way to the device and back through a stream" * needs_device()) {
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const Stream stream(*runtime);
  const std::vector<std::uint8_t> sent = counting(4096);
  const PinnedMemory source(*runtime, sent.size());
  const PinnedMemory target(*runtime, sent.size());
  const DeviceMemory device(*runtime, sent.size());
  std::memcpy(source.data(), sent.data(), sent.size());
  copy_async(device.data(), device.size_bytes(), source.data(), sent.size(), CopyKind::kHostToDevice, stream);
  copy_async(target.data(), target.size_bytes(), device.data(), sent.size(), CopyKind::kDeviceToHost, stream);
  stream.synchronize();
  CHECK(std::memcmp(target.data(), sent.data(), sent.size()) == 0);
}

TEST_CASE("a copy into too little room is refused" * needs_device()) {
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const Stream stream(*runtime);
  const PinnedMemory source(*runtime, 128);
  const DeviceMemory device(*runtime, 64);
  CHECK(code_of([&] { copy_async(device.data(), 64, source.data(), 128, CopyKind::kHostToDevice, stream); }) == 107000);
  CHECK(code_of([&] { copy(*runtime, device.data(), 64, source.data(), 128, CopyKind::kHostToDevice); }) == 107000);
}

TEST_CASE("a full device is out of memory until something is freed" * needs_device()) {
  const Setting memory("NPUSERVE_EMULATOR_MEMORY_BYTES", "67108864");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  std::optional<DeviceMemory> large(std::in_place, *runtime, std::size_t{48} << 20);
  CHECK(code_of([&] { const DeviceMemory more(*runtime, std::size_t{48} << 20); }) == kOutOfMemory);
  CHECK(runtime->allocations() == 1);
  large.reset();
  CHECK(code_of([&] { const DeviceMemory more(*runtime, std::size_t{48} << 20); }) == 0);
}

TEST_CASE("a block that moves is freed once, and one that is overwritten is freed at once" * needs_device()) {
  const Setting memory("NPUSERVE_EMULATOR_MEMORY_BYTES", "67108864");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  {
    DeviceMemory first(*runtime, std::size_t{24} << 20);
    DeviceMemory second(*runtime, std::size_t{24} << 20);
    void* const kept = first.data();
    second = std::move(first);
    CHECK(second.data() == kept);
    // Room for it there is only if the overwritten block was freed.
    const DeviceMemory third(*runtime, std::size_t{24} << 20);
  }
  CHECK(runtime->failed_releases() == 0);
}

TEST_CASE("pinned memory that cannot be had is out of memory" * needs_device()) {
  const Fault fault("aclrtMallocHost:1:207001");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  CHECK(code_of([&] { const PinnedMemory memory(*runtime, 64); }) == kOutOfMemory);
  CHECK(runtime->allocations() == 0);
}
