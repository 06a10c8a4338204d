// Loading an OM for several instances and devices: what it takes of their memory, and what is left when it does not
// fit.
#include "engine/acl_load.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "acl/context.h"
#include "acl/device.h"
#include "acl/device_state.h"
#include "acl/errors.h"
#include "engine/acl_executor.h"

using device_test::Fault;
using device_test::open_runtime;
using device_test::Setting;
using npuserve::acl::Context;
using npuserve::acl::Runtime;

namespace npuserve::engine {
namespace {

constexpr size_t kSlots = 2;

doctest::skip needs_models() {
  return doctest::skip(device_test::library_file() == nullptr || std::getenv("NPUSERVE_TEST_MODELS") == nullptr);
}

std::string model_file(const char* name) {
  return std::filesystem::path(std::getenv("NPUSERVE_TEST_MODELS")) / (std::string(name) + ".om");
}

std::vector<AclPlace> places(const std::vector<int>& devices) {
  std::vector<AclPlace> made;
  for (const int device : devices) made.push_back({.device = device});
  return made;
}

size_t free_bytes(const std::shared_ptr<Runtime>& runtime) {
  return acl::read_device_state(runtime, 0).memory.value().free_bytes;
}

TEST_CASE("instances of a device share one copy of the weights, and the memory is what was told" * needs_models()) {
  const auto runtime = open_runtime();
  const Context in_use(runtime, 0);
  const size_t before = free_bytes(runtime);
  {
    const LoadedOm loaded = load_om(runtime, model_file("tokens"), places({0, 0, 0}), kSlots, true);
    REQUIRE(loaded.executors.size() == 3);
    const auto& first = dynamic_cast<const AclExecutor&>(*loaded.executors.front());
    REQUIRE(first.weights() != nullptr);
    for (const auto& executor : loaded.executors) {
      CHECK(dynamic_cast<const AclExecutor&>(*executor).weights() == first.weights());
    }
    REQUIRE(loaded.memory.size() == 1);
    const MemoryUse& use = loaded.memory.front();
    CHECK(use.instances == 3);
    CHECK(use.weight_bytes == first.memory().weight_bytes);
    CHECK(use.work_bytes == 3 * first.memory().work_bytes);
    CHECK(use.buffer_bytes == 3 * first.memory().buffer_bytes);
    CHECK(before - free_bytes(runtime) == use.device_bytes());
  }
  CHECK(free_bytes(runtime) == before);
  CHECK(runtime->failed_releases() == 0);
}

TEST_CASE("what each gear costs is known after loading, the same for all instances of a device" * needs_models()) {
  const Setting devices("NPUSERVE_EMULATOR_DEVICES", "2");
  const auto runtime = open_runtime();
  const LoadedOm loaded = load_om(runtime, model_file("tokens"), places({0, 1, 0}), kSlots, true);
  CHECK(loaded.memory.size() == 2);
  for (const auto& executor : loaded.executors) {
    const std::vector<int64_t> costs = executor->costs_ns();
    CHECK(costs.size() == executor->signature().gears.size());
    CHECK(std::ranges::all_of(costs, [](int64_t cost_ns) { return cost_ns > 0; }));
  }
  CHECK(loaded.executors[0]->costs_ns() == loaded.executors[2]->costs_ns());
}

TEST_CASE("an instance whose weights are shared computes when the first is gone" * needs_models()) {
  const auto runtime = open_runtime();
  LoadedOm loaded = load_om(runtime, model_file("identity_b8"), places({0, 0}), kSlots, true);
  loaded.executors.front().reset();
  Executor& left = *loaded.executors.back();
  REQUIRE(left.attach().ok());
  const float value = 3;
  std::memcpy(left.buffers(0).inputs[0].data(), &value, sizeof value);
  REQUIRE(left.launch(0, 0).ok());
  REQUIRE(left.wait(0).ok());
  float answer = 0;
  std::memcpy(&answer, left.buffers(0).outputs[0].data(), sizeof answer);
  CHECK(answer == value);
}

std::string refusal(const std::shared_ptr<Runtime>& runtime, const std::vector<int>& devices) {
  try {
    static_cast<void>(load_om(runtime, model_file("tokens"), places(devices), kSlots, true));
  } catch (const DoesNotFit& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a model that does not fit is refused with what it needs and what there is, and leaves nothing" *
          needs_models()) {
  const Setting memory("NPUSERVE_EMULATOR_MEMORY_BYTES", "4096");
  const auto runtime = open_runtime();
  const Context in_use(runtime, 0);
  const size_t before = free_bytes(runtime);
  CHECK(refusal(runtime, {0}) == "needs 1 MiB on device 0 (weights 1, work 1, buffers 1), but 0 MiB of 0 MiB are free");
  CHECK(free_bytes(runtime) == before);
  CHECK(runtime->failed_releases() == 0);
}

TEST_CASE("memory that runs out while a model is loaded is told alike, whatever was loaded by then" * needs_models()) {
  for (int nth = 1;; ++nth) {
    const std::string rule = "aclrtMalloc:" + std::to_string(nth) + ":207001";
    const Fault fault(rule.c_str());
    const auto runtime = open_runtime();
    const Context in_use(runtime, 0);
    const size_t before = free_bytes(runtime);
    const std::string said = refusal(runtime, {0, 0});
    CHECK(free_bytes(runtime) == before);
    CHECK(runtime->failed_releases() == 0);
    if (said.empty()) {
      // weights; then for each instance work memory and, a slot, two inputs, an output and the gear
      CHECK(nth == 1 + 1 + 2 * (1 + 4 * static_cast<int>(kSlots)));
      break;
    }
    CHECK(said.starts_with("needs 1 MiB on device 0 ("));
  }
}

TEST_CASE("the threads of an instance run on the cores of its host policy" * needs_models()) {
  const auto runtime = open_runtime();
  const int core = sched_getcpu();
  std::vector<AclPlace> pinned = places({0});
  pinned.front().host.cores = {core};
  const LoadedOm loaded = load_om(runtime, model_file("identity_b8"), pinned, kSlots, true);
  cpu_set_t set;
  std::thread([&] {
    CHECK(loaded.executors.front()->attach().ok());
    REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
  }).join();
  CHECK(CPU_COUNT(&set) == 1);
  CHECK(CPU_ISSET(core, &set));
}

}  // namespace
}  // namespace npuserve::engine
