#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "engine/statistics.h"

using npuserve::engine::BatchTiming;
using npuserve::engine::Counters;
using npuserve::engine::FailureReason;
using npuserve::engine::Outcome;
using npuserve::engine::Statistics;
using npuserve::engine::Use;

TEST_CASE("each request of a batch is charged the batch's durations, the batch size its own once") {
  Statistics statistics(1);
  const BatchTiming timing{.start_ns = 100, .launched_ns = 130, .device_ns = 150, .ended_ns = 250, .answered_ns = 260};
  statistics.of_instance(0).record_execution(timing, {.rows = 8}, std::vector<Outcome>{{10, 2, true}, {40, 3, true}});
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
  CHECK(counters.padded_rows == 3);
}

TEST_CASE("failures are counted by their reasons, and what was never accepted is in no duration") {
  Statistics statistics(1);
  const auto count = [&](FailureReason reason) { return statistics.snapshot().failures[static_cast<size_t>(reason)]; };
  statistics.of_instance(0).record_failure(std::vector<Outcome>{{10, 1, false}}, FailureReason::kBackend, 20);
  statistics.of_others().record_failure(std::vector<Outcome>{{10, 1, false}}, FailureReason::kCancelled, 20);
  statistics.of_others().record_rejections(3);
  statistics.of_instance(0).record_execution({}, {.rows = 2}, std::vector<Outcome>{{0, 1, true}, {0, 1, false}});
  CHECK(count(FailureReason::kRejected) == 3);
  CHECK(count(FailureReason::kCancelled) == 1);
  CHECK(count(FailureReason::kBackend) == 1);
  CHECK(count(FailureReason::kOther) == 1);
  CHECK(statistics.snapshot().fail.count == 3);
}

TEST_CASE("failures count as failures alone") {
  Statistics statistics(1);
  statistics.of_instance(0).record_failure(std::vector<Outcome>{{10, 2, false}, {20, 1, false}},
                                           FailureReason::kBackend, 100);
  const Counters counters = statistics.snapshot();
  CHECK(counters.fail.count == 2);
  CHECK(counters.fail.ns == 90 + 80);
  CHECK(counters.success.count == 0);
  CHECK(counters.execution_count == 0);
  CHECK(counters.last_inference_ms == 0);
  CHECK(counters.batches.empty());
}

TEST_CASE("batch sizes are listed in ascending order") {
  Statistics statistics(1);
  for (const int64_t rows : {8, 1, 3, 1})
    statistics.of_instance(0).record_execution({}, {.rows = 8}, std::vector<Outcome>{{0, rows, true}});
  std::vector<int64_t> sizes;
  for (const auto& [size, batch] : statistics.snapshot().batches) sizes.push_back(size);
  CHECK(sizes == std::vector<int64_t>{1, 3, 8});
}

TEST_CASE("an arrival stamped late does not make a sum go backwards") {
  Statistics statistics(1);
  statistics.of_instance(0).record_failure(std::vector<Outcome>{{200, 1, false}}, FailureReason::kBackend, 100);
  CHECK(statistics.snapshot().fail.ns == 0);
  CHECK(statistics.snapshot().fail.count == 1);
}

TEST_CASE("what is counted apart is read as one") {
  Statistics statistics(2);
  const BatchTiming timing{.start_ns = 1, .launched_ns = 2, .device_ns = 4, .ended_ns = 8, .answered_ns = 16};
  statistics.of_instance(0).record_execution(timing, {.rows = 8}, std::vector<Outcome>{{0, 2, true}});
  statistics.of_instance(1).record_execution(timing, {.rows = 8}, std::vector<Outcome>{{0, 2, true}, {0, 1, true}});
  statistics.of_instance(1).record_execution(timing, {.rows = 8}, std::vector<Outcome>{{0, 2, true}});
  statistics.of_others().record_failure(std::vector<Outcome>{{0, 1, false}}, FailureReason::kBackend, 5);
  const Counters counters = statistics.snapshot();
  CHECK(counters.inference_count == 7);
  CHECK(counters.execution_count == 3);
  CHECK(counters.last_inference_ms > 1'735'689'600'000);
  CHECK(counters.success.count == 4);
  CHECK(counters.success.ns == 4 * 16);
  CHECK(counters.fail.ns == 5);
  CHECK(counters.queue.ns == 4 * (1 + 2));
  CHECK(counters.compute_input.ns == 4 * 1);
  CHECK(counters.compute_infer.ns == 4 * 4);
  CHECK(counters.compute_output.ns == 4 * 8);
  REQUIRE(counters.batches.size() == 2);
  CHECK(counters.batches.at(2).compute_infer.count == 2);
  CHECK(counters.batches.at(2).compute_output.ns == 2 * 8);
  CHECK(counters.batches.at(3).compute_input.count == 1);
}

TEST_CASE("rows that were answered are counted by their length, where rows have one") {
  Statistics statistics(1, true, 1, 16);
  const std::vector<Outcome> outcomes{{.rows = 2, .ok = true, .length = 5},
                                      {.rows = 1, .ok = true, .length = 16},
                                      {.rows = 1, .ok = true, .length = 5},
                                      {.rows = 1, .ok = false, .length = 5},
                                      {.rows = 1, .ok = true, .length = 7, .use = Use::kNobodyCancelled},
                                      {.rows = 1, .ok = true, .length = 8, .use = Use::kNobodyExpired}};
  statistics.of_instance(0).record_execution({}, {.rows = 8, .length = 16}, outcomes);
  std::vector<uint64_t> expected(17);
  expected[5] = 3;
  expected[16] = 1;
  CHECK(statistics.snapshot().lengths == expected);

  Statistics without(1);
  without.of_instance(0).record_execution({}, {.rows = 8}, std::vector<Outcome>{{0, 2, true}});
  CHECK(without.snapshot().lengths.empty());
  Statistics too_long(1, true, 1, npuserve::engine::kMaxCountedLength + 1);
  too_long.of_instance(0).record_execution({}, {.rows = 1, .length = 100'000},
                                           std::vector<Outcome>{{.ok = true, .length = 100'000}});
  CHECK(too_long.snapshot().lengths.empty());
}

TEST_CASE("statistics that are off stay zero") {
  Statistics statistics(1, false);
  statistics.of_instance(0).record_execution({}, {.rows = 8}, std::vector<Outcome>{{0, 2, true}});
  statistics.of_others().record_failure(std::vector<Outcome>{{0, 2, false}}, FailureReason::kBackend, 10);
  const Counters counters = statistics.snapshot();
  CHECK(counters.execution_count == 0);
  CHECK(counters.success.count == 0);
  CHECK(counters.fail.count == 0);
  CHECK(counters.batches.empty());
}
