// How long a request would wait, and who is refused for it.
#include <doctest/doctest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "batching/scheduler_core.h"
#include "signatures.h"

using npuserve::batching::Arrival;
using npuserve::batching::BucketTable;
using npuserve::batching::SchedulerCore;
using npuserve::batching::SchedulerOptions;
using npuserve::batching::Verdict;
using npuserve::batching::test::tokens;

namespace {

constexpr int64_t kMs = 1'000'000;

// Four rows take 40 ms, ten a row; one takes 16.
BucketTable table() {
  const std::vector<int64_t> costs = {16 * kMs, 40 * kMs};
  return {tokens({{1, 16}, {4, 16}}), costs};
}

SchedulerOptions by_buckets(int64_t max_predicted_wait_ms = 0) {
  SchedulerOptions options;
  options.batching = {.max_batch_size = 4, .dynamic_batching = true};
  options.buckets = true;
  options.max_predicted_wait_ns = max_predicted_wait_ms * kMs;
  return options;
}

SchedulerCore make(const SchedulerOptions& options, std::vector<int> devices = {0}) {
  return {options, table(), std::move(devices), 2};
}

Verdict submit(SchedulerCore& scheduler, int64_t now_ns = 0, int64_t priority = 0) {
  return scheduler.submit({.arrival_ns = now_ns, .capacity_rows = 4, .priority = priority}, now_ns).verdict;
}

void submit_many(SchedulerCore& scheduler, int count) {
  for (int i = 0; i < count; ++i) REQUIRE(submit(scheduler) == Verdict::kQueued);
}

// One execution that takes `cost_ns`.
void run(SchedulerCore& scheduler, int64_t now_ns, int64_t cost_ns) {
  REQUIRE_FALSE(scheduler.take(0, now_ns).tickets.empty());
  scheduler.ended(0, now_ns + cost_ns);
  scheduler.release_slot(0);
}

}  // namespace

TEST_CASE("the predicted wait is the work queued and left, over the devices") {
  SchedulerCore one = make(by_buckets());
  CHECK(one.predicted_wait_ns(0) == 0);
  submit_many(one, 8);
  CHECK(one.predicted_wait_ns(0) == 80 * kMs);
  one.take(0, 0);
  CHECK(one.predicted_wait_ns(0) == 80 * kMs);
  CHECK(one.predicted_wait_ns(30 * kMs) == 50 * kMs);
  CHECK(one.predicted_wait_ns(90 * kMs) == 40 * kMs);  // it should have ended
  SchedulerCore two = make(by_buckets(), {0, 1});
  submit_many(two, 8);
  CHECK(two.predicted_wait_ns(0) == 40 * kMs);
}

TEST_CASE("rows count as in the bucket that is cheapest for them") {
  const std::vector<int64_t> costs = {100, 400};
  SchedulerOptions options = by_buckets();
  options.batching.max_batch_size = 8;
  SchedulerCore scheduler(options, BucketTable(tokens({{1, 16}, {8, 32}}), costs), {0}, 2);
  submit_many(scheduler, 2);
  CHECK(scheduler.predicted_wait_ns(0) == 100);
}

TEST_CASE("that a lonely request wastes a gear says nothing of a queue") {
  SchedulerCore scheduler = make(by_buckets());
  for (int i = 0; i < 30; ++i) {
    submit_many(scheduler, 1);
    run(scheduler, i * 100 * kMs, 16 * kMs);
  }
  submit_many(scheduler, 8);
  CHECK(scheduler.predicted_wait_ns(0) == doctest::Approx(80 * kMs));
}

TEST_CASE("costs follow what batches took") {
  SchedulerCore scheduler = make(by_buckets());
  submit_many(scheduler, 400);
  for (int i = 0; i < 90; ++i) run(scheduler, i * 100 * kMs, 80 * kMs);
  CHECK(scheduler.queued() == 40);
  CHECK(scheduler.predicted_wait_ns(0) == doctest::Approx(800 * kMs));
}

TEST_CASE("for equal shapes nothing is predicted until something ran") {
  SchedulerOptions options = by_buckets();
  options.buckets = false;
  SchedulerCore scheduler = make(options);
  submit_many(scheduler, 12);
  CHECK(scheduler.predicted_wait_ns(0) == 0);
  run(scheduler, 0, 20 * kMs);
  CHECK(scheduler.predicted_wait_ns(20 * kMs) == 40 * kMs);
}

TEST_CASE("a request that would wait too long is refused, and one that would not is taken") {
  SchedulerCore scheduler = make(by_buckets(50));
  submit_many(scheduler, 6);  // 0 to 50 ms
  const auto refused = scheduler.submit({}, 0);
  CHECK(refused.verdict == Verdict::kOverloaded);
  CHECK(refused.predicted_wait_ns == 60 * kMs);
  CHECK(scheduler.queued() == 6);
  scheduler.take(0, 0);  // 40 ms left there, 20 here
  CHECK(submit(scheduler) == Verdict::kOverloaded);
  CHECK(submit(scheduler, 10 * kMs) == Verdict::kQueued);
}

TEST_CASE("what waits behind a level does not count against it") {
  SchedulerOptions options = by_buckets(50);
  options.levels = 2;
  options.default_level = 2;
  SchedulerCore scheduler = make(options);
  submit_many(scheduler, 6);
  CHECK(submit(scheduler, 0, 2) == Verdict::kOverloaded);
  CHECK(submit(scheduler, 0, 1) == Verdict::kQueued);
}

TEST_CASE("a full queue is said to be full, a stopping one to stop") {
  SchedulerOptions options = by_buckets(50);
  options.default_policy.max_size = 6;
  SchedulerCore scheduler = make(options);
  submit_many(scheduler, 6);
  CHECK(submit(scheduler) == Verdict::kQueueFull);
  scheduler.stop();
  CHECK(submit(scheduler) == Verdict::kStopping);
}

TEST_CASE("under overload what is accepted waits no longer than allowed, and little less") {
  // A request every 5 ms, twice what the device does.
  constexpr int64_t kLimitMs = 200;
  SchedulerCore scheduler = make(by_buckets(kLimitMs));
  std::vector<int64_t> arrivals;  // by ticket
  int64_t busy_until_ns = 0;
  int64_t longest_ns = 0;
  int refused = 0;
  bool is_busy = false;
  for (int64_t now_ns = 0; now_ns < 10'000 * kMs; now_ns += 5 * kMs) {
    if (is_busy && busy_until_ns <= now_ns) {
      scheduler.ended(0, busy_until_ns);
      scheduler.release_slot(0);
      is_busy = false;
    }
    const auto admission = scheduler.submit({.arrival_ns = now_ns}, now_ns);
    if (admission.verdict == Verdict::kQueued) {
      if (admission.ticket >= arrivals.size()) arrivals.resize(admission.ticket + 1);
      arrivals[admission.ticket] = now_ns;
    } else {
      ++refused;
    }
    if (is_busy) continue;
    const auto batch = scheduler.take(0, now_ns);
    for (const auto ticket : batch.tickets) longest_ns = std::max(longest_ns, now_ns - arrivals[ticket]);
    is_busy = true;
    busy_until_ns = now_ns + (batch.gear == 1 ? 40 : 16) * kMs;
  }
  CHECK(longest_ns <= (kLimitMs + 45) * kMs);  // and a batch
  CHECK(longest_ns >= kLimitMs * kMs / 2);
  CHECK(refused > 800);
  CHECK(refused < 1100);
}

TEST_CASE("with a target the queue delay follows the answers") {
  SchedulerOptions options = by_buckets();
  options.buckets = false;
  options.target_p99_ns = 50 * kMs;
  options.batching.max_queue_delay_ns = 20 * kMs;
  SchedulerCore scheduler = make(options);
  CHECK(scheduler.queue_delay_ns() == 20 * kMs);
  for (int i = 0; i < 10; ++i) scheduler.answered(60 * kMs, kMs);
  CHECK(scheduler.queue_delay_ns() == 10 * kMs);
  for (int i = 0; i < 10'000; ++i) scheduler.answered(10 * kMs, kMs);
  CHECK(scheduler.queue_delay_ns() == 50 * kMs);
  SchedulerCore fixed = make(by_buckets());
  fixed.answered(60 * kMs, kMs);
  CHECK(fixed.queue_delay_ns() == 0);
}
