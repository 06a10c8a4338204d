// Rules that hold whatever happens: random_run.cc and random_batches.cc say which, each in a sentence.
#include <doctest/doctest.h>

#include <string>

#include "batching/random_run.h"

using npuserve::batching::test::random_setup;
using npuserve::batching::test::RandomRun;

namespace {

constexpr uint64_t kSeeds = 400;
constexpr int kEvents = 400;

void run_all(bool buckets) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const std::string broken = RandomRun(random_setup(seed, buckets), seed).run(kEvents);
    CHECK_MESSAGE(broken.empty(), "seed " << seed << ", " << broken);
  }
}

}  // namespace

TEST_CASE("random requests of equal shapes leave exactly once, in order, in batches that fit, and none waits in vain") {
  run_all(false);
}

TEST_CASE("random requests in buckets leave exactly once, in gears that hold them, and none is overtaken too often") {
  run_all(true);
}
