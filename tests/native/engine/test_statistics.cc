#include <doctest/doctest.h>

#include <vector>

#include "engine/statistics.h"

using npuserve::engine::BatchTiming;
using npuserve::engine::Counters;
using npuserve::engine::Outcome;
using npuserve::engine::Statistics;

TEST_CASE("each request of a batch is charged the batch's durations, the batch size its own once") {
  Statistics statistics;
  const BatchTiming timing{.start_ns = 100, .launched_ns = 130, .device_ns = 150, .ended_ns = 250, .answered_ns = 260};
  statistics.record_execution(timing, std::vector<Outcome>{{10, 2, true}, {40, 3, true}});
  const Counters counters = statistics.snapshot();
  CHECK(counters.inference_count == 5);
  CHECK(counters.execution_count == 1);
  CHECK(counters.success.count == 2);
  CHECK(counters.success.ns == 250 + 220);
  CHECK(counters.queue.ns == (90 + 20) + (60 + 20));  // the wait for the device is queueing
  CHECK(counters.compute_input.ns == 2 * 30);
  CHECK(counters.compute_infer.ns == 2 * 100);
  CHECK(counters.compute_output.ns == 2 * 10);
  REQUIRE(counters.batches.size() == 1);
  CHECK(counters.batches.at(5).compute_infer.count == 1);
  CHECK(counters.batches.at(5).compute_infer.ns == 100);
  CHECK(counters.batches.at(5).compute_input.ns == 30);
  CHECK(counters.batches.at(5).compute_output.ns == 10);
}

TEST_CASE("failures count as failures alone") {
  Statistics statistics;
  statistics.record_failure(std::vector<Outcome>{{10, 2, false}, {20, 1, false}}, 100);
  const Counters counters = statistics.snapshot();
  CHECK(counters.fail.count == 2);
  CHECK(counters.fail.ns == 90 + 80);
  CHECK(counters.success.count == 0);
  CHECK(counters.execution_count == 0);
  CHECK(counters.last_inference_ms == 0);
  CHECK(counters.batches.empty());
}

TEST_CASE("batch sizes are listed in ascending order") {
  Statistics statistics;
  for (const int64_t rows : {8, 1, 3, 1}) statistics.record_execution({}, std::vector<Outcome>{{0, rows, true}});
  std::vector<int64_t> sizes;
  for (const auto& [size, batch] : statistics.snapshot().batches) sizes.push_back(size);
  CHECK(sizes == std::vector<int64_t>{1, 3, 8});
}

TEST_CASE("an arrival stamped late does not make a sum go backwards") {
  Statistics statistics;
  statistics.record_failure(std::vector<Outcome>{{200, 1, false}}, 100);
  CHECK(statistics.snapshot().fail.ns == 0);
  CHECK(statistics.snapshot().fail.count == 1);
}
