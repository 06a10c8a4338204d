// No scheduler is better than the bound, whatever comes.
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "scheduling/simulation/oracle.h"
#include "scheduling/simulation/ours.h"
#include "scheduling/simulation/replay.h"
#include "scheduling/simulation/triton.h"

using namespace npuserve;
using namespace npuserve::simulation;

namespace {

constexpr size_t kRequests = 3000;
constexpr int64_t kMaxRows = 8;

// A floor, so that a small batch costs more a row.
GearSet gears() {
  std::vector<Gear> all;
  for (const int64_t rows : {int64_t{1}, int64_t{4}, kMaxRows}) {
    for (const int64_t length : {16, 32, 128}) all.push_back({rows, length, 50'000 + 1000 * rows * length});
  }
  return GearSet(all);
}

Traffic traffic(ArrivalKind kind, const Sample& sample, double mean_gap_ns) {
  return {{.kind = kind, .mean_gap_ns = mean_gap_ns, .requests = kRequests, .seed = 7}, sample};
}

batching::SchedulerOptions options(bool buckets) {
  batching::SchedulerOptions options;
  options.batching.max_batch_size = kMaxRows;
  options.batching.dynamic_batching = true;
  options.buckets = buckets;
  return options;
}

void check(const Outcome& found, const Outcome& bound) {
  CHECK(found.answered == kRequests);
  CHECK(found.lost == 0);
  CHECK(found.throughput <= bound.throughput * 1.000001);
  CHECK(found.p50_ms >= bound.p50_ms * 0.999999);
  CHECK(found.p99_ms >= bound.p99_ms * 0.999999);
  CHECK(found.max_ms >= bound.max_ms * 0.999999);
}

}  // namespace

TEST_CASE("every scheduler answers everything, and none is better than the bound") {
  const GearSet set = gears();
  const Sample sample = log_normal_sample(set.max_length());
  for (const ArrivalKind kind : {ArrivalKind::kPoisson, ArrivalKind::kBursts, ArrivalKind::kDiurnal}) {
    for (const double mean_gap_ns : {300'000.0, 30'000.0, 10'000.0}) {
      for (const size_t count : {size_t{1}, size_t{3}}) {
        const Traffic arrivals = traffic(kind, sample, mean_gap_ns);
        const Outcome best = bound(arrivals, set, count);
        for (const bool pads : {false, true}) {
          for (const bool buckets : {false, true}) {
            Devices devices(count);
            Ours ours(options(buckets), set, pads, devices);
            check(replay(arrivals, kRequests, ours, devices), best);
          }
          Devices devices(count);
          Triton triton({.max_batch_size = kMaxRows}, set, pads, devices);
          check(replay(arrivals, kRequests, triton, devices), best);
        }
      }
    }
  }
}

TEST_CASE("the bound of requests that come alone is what one takes") {
  const GearSet set = gears();
  const Sample sample{.lengths = {10, 20, 100}};
  const Outcome best = bound(traffic(ArrivalKind::kPoisson, sample, 1e9), set, 1);
  CHECK(best.p50_ms == doctest::Approx(0.082));
  CHECK(best.max_ms == doctest::Approx(0.178));
}

TEST_CASE("the bound of an overload is what is left of the work") {
  const GearSet set = gears();
  const Sample sample{.lengths = {128}};
  const Outcome best = bound(traffic(ArrivalKind::kPoisson, sample, 1), set, 1);
  // A row costs (50 + 8 x 128) / 8 microseconds: all are there at once, and 1 % may be last.
  CHECK(best.max_ms == doctest::Approx(kRequests * 0.13425).epsilon(0.001));
  CHECK(best.p99_ms == doctest::Approx(kRequests * 0.13425 * 0.99).epsilon(0.001));
  CHECK(best.throughput == doctest::Approx(1e6 / 134.25).epsilon(0.001));
}
