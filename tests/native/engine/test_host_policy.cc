#include "engine/host_policy.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <filesystem>
#include <thread>
#include <vector>

namespace npuserve::engine {
namespace {

std::vector<int> cores_of_thread() {
  cpu_set_t set;
  std::vector<int> cores;
  REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

TEST_CASE("a core and a node that are not there are named") {
  CHECK_THROWS_WITH_AS(check({.cores = {CPU_SETSIZE - 1}}),
                       doctest::Contains("CPU core 1023 is none of those that this process may use: "),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(check({.cores = {-1}}), doctest::Contains("CPU core -1 is none"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(check({.numa_node = 999}), "NUMA node 999 does not exist", std::invalid_argument);
  CHECK_THROWS_WITH_AS(check({.numa_node = -1}), "NUMA node -1 does not exist", std::invalid_argument);
  CHECK_THROWS_WITH_AS(check({.numa_node = 5000}), "NUMA node 5000 does not exist", std::invalid_argument);
  CHECK_NOTHROW(check({}));
  CHECK_NOTHROW(check({.cores = cores_of_thread()}));
}

TEST_CASE("a thread is pinned for good, or while something is placed") {
  const std::vector<int> before = cores_of_thread();
  const HostPolicy policy{.cores = {before.front()}};
  std::thread([&] {
    {
      const PlacedHere placed(policy);
      CHECK(cores_of_thread() == policy.cores);
    }
    CHECK(cores_of_thread() == before);
    CHECK(pin_thread(policy).ok());
    CHECK(cores_of_thread() == policy.cores);
  }).join();
}

TEST_CASE("without a policy a thread stays where it is") {
  const std::vector<int> before = cores_of_thread();
  CHECK(pin_thread({}).ok());
  CHECK(cores_of_thread() == before);
}

// Some kernels tell of no nodes.
TEST_CASE("a thread of a node runs on its cores" *
          doctest::skip(!std::filesystem::exists("/sys/devices/system/node/node0/cpulist"))) {
  std::thread([] {
    const HostPolicy policy{.numa_node = 0};
    CHECK_NOTHROW(check(policy));
    CHECK(pin_thread(policy).ok());
    const PlacedHere placed(policy);
    CHECK_FALSE(cores_of_thread().empty());
  }).join();
}

}  // namespace
}  // namespace npuserve::engine
