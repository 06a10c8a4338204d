#include "acl/device_state.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <optional>
#include <thread>
#include <vector>

#include "acl/context.h"
#include "acl/memory.h"
#include "acl/stream.h"
#include "device.h"

using device_test::code_of;
using device_test::Fault;
using device_test::needs_device;
using device_test::open_runtime;
using device_test::Setting;
using npuserve::acl::Context;
using npuserve::acl::DeviceMemory;
using npuserve::acl::DeviceState;
using npuserve::acl::read_device_state;
using npuserve::acl::Stream;

namespace {

constexpr std::size_t kMegabyte = std::size_t{1} << 20;

}  // namespace

TEST_CASE("a device that is in use tells its memory, and what is allocated is no longer free" * needs_device()) {
  const Setting memory("NPUSERVE_EMULATOR_MEMORY_BYTES", "67108864");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const DeviceState before = read_device_state(runtime, 0);
  REQUIRE(before.memory.has_value());
  CHECK(before.memory->total_bytes == 64 * kMegabyte);
  CHECK(before.memory->free_bytes == 64 * kMegabyte);
  context.make_current();
  const DeviceMemory block(*runtime, 16 * kMegabyte);
  const DeviceState after = read_device_state(runtime, 0);
  REQUIRE(after.memory.has_value());
  CHECK(after.memory->free_bytes <= 48 * kMegabyte);
  CHECK(after.memory->free_bytes > 47 * kMegabyte);
}

TEST_CASE("a device that nobody uses is not started to ask for its memory" * needs_device()) {
  const Setting devices("NPUSERVE_EMULATOR_DEVICES", "2");
  const Fault fault("aclrtSetDevice:2:507899");
  const auto runtime = open_runtime();
  std::optional<Context> first(std::in_place, runtime, 0);
  CHECK_FALSE(read_device_state(runtime, 1).memory.has_value());
  CHECK(read_device_state(runtime, 1).physical_id == 1);
  first.reset();
  CHECK_FALSE(read_device_state(runtime, 0).memory.has_value());
  CHECK(code_of([&] { const Context second(runtime, 1); }) == 507899);  // nothing was set in between
  CHECK_FALSE(runtime->uses_device(1));
}

TEST_CASE("what a driver cannot tell is left out, a lost device is an error" * needs_device()) {
  SUBCASE("the utilization") {
    const Fault fault("aclrtGetDeviceUtilizationRate:1:207000");
    const auto runtime = open_runtime();
    const Context context(runtime, 0);
    const DeviceState state = read_device_state(runtime, 0);
    CHECK(state.memory.has_value());
    CHECK_FALSE(state.utilization_percent.has_value());
  }
  SUBCASE("the number of the machine") {
    const Fault fault("aclrtGetPhyDevIdByLogicDevId:1:207000");
    const auto runtime = open_runtime();
    CHECK_FALSE(read_device_state(runtime, 0).physical_id.has_value());
  }
  SUBCASE("anything, of a lost device") {
    const Fault fault("aclrtGetDeviceUtilizationRate:1:507899");
    const auto runtime = open_runtime();
    CHECK(code_of([&] { read_device_state(runtime, 0); }) == 507899);
  }
  SUBCASE("the memory") {
    const Fault fault("aclrtGetMemInfo:1:507899");
    const auto runtime = open_runtime();
    const Context context(runtime, 0);
    CHECK(code_of([&] { read_device_state(runtime, 0); }) == 507899);
  }
}

TEST_CASE("the emulator's cores have no utilization" * needs_device()) {
  const auto runtime = open_runtime();
  CHECK_FALSE(read_device_state(runtime, 0).utilization_percent.has_value());
}

TEST_CASE("a device is asked while other threads work on it and give it back" * needs_device()) {
  const auto runtime = open_runtime();
  std::atomic<bool> working{true};
  std::vector<std::thread> askers;
  for (int i = 0; i < 2; ++i) {
    askers.emplace_back([&] {
      while (working) {
        const DeviceState state = read_device_state(runtime, 0);
        if (state.memory) CHECK(state.memory->free_bytes <= state.memory->total_bytes);
      }
    });
  }
  for (int round = 0; round < 50; ++round) {
    const Context context(runtime, 0);
    const Stream stream(*runtime);
    const DeviceMemory block(*runtime, kMegabyte);
    stream.synchronize();
  }
  working = false;
  for (std::thread& asker : askers) asker.join();
  CHECK(runtime->failed_releases() == 0);
  CHECK_FALSE(runtime->uses_device(0));
}
