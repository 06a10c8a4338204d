// Single decisions. What they amount to over time is in test_consequences.cc.
#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "batching/policy.h"

using npuserve::batching::decide;
using npuserve::batching::Plan;
using npuserve::batching::PolicyOptions;
using npuserve::batching::queue_is_full;
using npuserve::batching::Snapshot;
using npuserve::batching::Waiting;

namespace {

constexpr int64_t kMs = 1'000'000;

PolicyOptions batching(int64_t max_batch_size, std::vector<int64_t> preferred = {}, int64_t delay_ms = 0) {
  return {.max_batch_size = max_batch_size,
          .dynamic_batching = true,
          .preferred_batch_sizes = std::move(preferred),
          .max_queue_delay_ns = delay_ms * kMs};
}

std::vector<Waiting> waiting(const std::vector<int64_t>& rows) {
  std::vector<Waiting> queue;
  for (const int64_t count : rows) queue.push_back({.rows = count, .arrival_ns = 0, .capacity_rows = 64});
  return queue;
}

size_t taken(const PolicyOptions& options, const std::vector<Waiting>& queue, int64_t executing = 0,
             int64_t now_ns = 0) {
  return decide(options, {.now_ns = now_ns, .queue = queue, .executing = executing}).take;
}

}  // namespace

TEST_CASE("an empty queue gives nothing to do and nothing to wait for") {
  CHECK(decide(batching(8), {}) == Plan{});
  CHECK(decide(batching(8, {}, 100), {.executing = 1}) == Plan{});
}

TEST_CASE("without dynamic batching each request is one execution, queued behind the running one") {
  const PolicyOptions options{.max_batch_size = 8, .dynamic_batching = false};
  CHECK(taken(options, waiting({3, 2, 1})) == 1);
  CHECK(taken(options, waiting({3, 2, 1}), 1) == 1);
}

TEST_CASE("an idle instance takes what there is, up to the maximum") {
  CHECK(taken(batching(8), waiting({1})) == 1);
  CHECK(taken(batching(8), waiting({1, 1, 1})) == 3);
  CHECK(taken(batching(4), waiting({1, 1, 1, 1, 1})) == 4);
  CHECK(taken(batching(8), waiting({3, 3, 3})) == 2);
  CHECK(taken(batching(8), waiting({8, 1})) == 1);
}

TEST_CASE("a batch that can still grow waits while the instance executes") {
  CHECK(taken(batching(8), waiting({1, 1, 1}), 1) == 0);
  CHECK(taken(batching(8), waiting({1, 1, 1}), 2) == 0);
  CHECK(taken(batching(8, {}, 100), waiting({1}), 1, 500 * kMs) == 0);  // even when late
}

TEST_CASE("a batch that cannot grow is queued behind the running one") {
  CHECK(taken(batching(4), waiting({1, 1, 1, 1}), 1) == 4);
  CHECK(taken(batching(8), waiting({3, 3, 3}), 1) == 2);
  CHECK(taken(batching(8, {4}), waiting({1, 1, 1, 1}), 1) == 4);
  CHECK(taken(batching(8, {4}, 100), waiting({3, 3}), 1) == 1);  // the second passes every preferred size
  std::vector<Waiting> queue = waiting({1, 1, 1});
  queue[2].row_shape = {7};
  CHECK(taken(batching(8), queue, 1) == 2);
}

TEST_CASE("with a delay a preferred size is not final while the instance executes: late, it takes more") {
  CHECK(taken(batching(8, {4}, 100), waiting({1, 1, 1, 1}), 1) == 0);
  CHECK(taken(batching(8, {4}, 100), waiting({1, 1, 1, 1, 1}), 0, 50 * kMs) == 4);
  CHECK(taken(batching(8, {4}, 100), waiting({1, 1, 1, 1, 1}), 0, 100 * kMs) == 5);
}

TEST_CASE("the delay runs from the oldest request's arrival") {
  std::vector<Waiting> queue = waiting({1, 1});
  queue[0].arrival_ns = 10 * kMs;
  queue[1].arrival_ns = 60 * kMs;
  const PolicyOptions options = batching(8, {}, 100);
  CHECK(decide(options, {.now_ns = 60 * kMs, .queue = queue}) == Plan{.take = 0, .wake_at_ns = 110 * kMs});
  CHECK(decide(options, {.now_ns = 110 * kMs - 1, .queue = queue}).take == 0);
  CHECK(decide(options, {.now_ns = 110 * kMs, .queue = queue}).take == 2);
}

TEST_CASE("the oldest request need not be the first: a more urgent one may have come later") {
  std::vector<Waiting> queue = waiting({1, 1});
  queue[0].arrival_ns = 60 * kMs;
  queue[1].arrival_ns = 10 * kMs;
  const PolicyOptions options = batching(8, {}, 100);
  CHECK(decide(options, {.now_ns = 60 * kMs, .queue = queue}) == Plan{.take = 0, .wake_at_ns = 110 * kMs});
  CHECK(decide(options, {.now_ns = 110 * kMs, .queue = queue}).take == 2);
}

TEST_CASE("the last preferred size that is reached is the one") {
  CHECK(taken(batching(8, {2, 6}), waiting({1, 1, 1, 1, 1})) == 2);
  CHECK(taken(batching(8, {2, 6}), waiting({1, 1, 1, 1, 1, 1, 1})) == 6);
  CHECK(taken(batching(8, {2, 6}), waiting({1, 2, 1})) == 3);  // 1, 3, 4: none is preferred
}

TEST_CASE("only equal row shapes share a batch, and nothing overtakes") {
  std::vector<Waiting> queue = waiting({1, 1, 1, 1});
  queue[0].row_shape = queue[2].row_shape = queue[3].row_shape = {128, 128};
  queue[1].row_shape = {64, 64};
  CHECK(taken(batching(8), queue) == 1);
  CHECK(taken(batching(8), std::vector(queue.begin() + 1, queue.end())) == 1);
  CHECK(taken(batching(8), std::vector(queue.begin() + 2, queue.end())) == 2);
  // The request that may not join closes the batch: its delay is not waited for.
  CHECK(taken(batching(8, {}, 100), queue) == 1);
}

TEST_CASE("a batch never exceeds what a gear holds of its row shape") {
  std::vector<Waiting> queue = waiting({1, 1, 1, 1, 1});
  for (Waiting& request : queue) request.capacity_rows = 2;
  CHECK(taken(batching(8), queue) == 2);
  CHECK(taken(batching(8, {4}), queue) == 2);
  CHECK(taken(batching(8, {}, 100), queue, 1) == 2);
}

TEST_CASE("work is left to an idle instance") {
  const std::vector<Waiting> queue = waiting({1, 1, 1, 1});
  CHECK(decide(batching(4), {.queue = queue, .executing = 1, .idle_elsewhere = true}) == Plan{});
  CHECK(decide(batching(4), {.queue = queue, .executing = 0, .idle_elsewhere = true}).take == 4);
}

TEST_CASE("when nothing more will come nothing is waited for") {
  const std::vector<Waiting> queue = waiting({1, 1, 1});
  const Snapshot stopping{.queue = queue, .executing = 1, .stopping = true};
  CHECK(decide(batching(8, {2}, 1000), stopping).take == 3);
  CHECK(decide(batching(8), stopping).take == 3);
}

TEST_CASE("the queue's limit counts requests, and 0 is none") {
  PolicyOptions options = batching(8);
  CHECK_FALSE(queue_is_full(options, 1'000'000));
  options.max_queue_size = 3;
  CHECK_FALSE(queue_is_full(options, 2));
  CHECK(queue_is_full(options, 3));
}

TEST_CASE("for any queue: a plan takes a fitting prefix of one shape, or says when to ask again") {
  std::mt19937 random(7);
  const auto pick = [&](int64_t low, int64_t high) { return low + static_cast<int64_t>(random() % (high - low + 1)); };
  for (int round = 0; round < 50'000; ++round) {
    const int64_t most = pick(1, 12);
    PolicyOptions options = batching(most, {}, pick(0, 1) * 100);
    for (int64_t i = pick(0, 2); i > 0; --i) options.preferred_batch_sizes.push_back(pick(1, most));
    std::vector<Waiting> queue(static_cast<size_t>(pick(1, 15)));
    for (Waiting& request : queue) {
      request = {.rows = pick(1, most), .arrival_ns = 0, .capacity_rows = most, .row_shape = {pick(0, 9) / 9}};
    }
    const int64_t executing = pick(0, 2);
    const Plan plan = decide(options, {.now_ns = pick(0, 2) * 60 * kMs, .queue = queue, .executing = executing});
    REQUIRE(plan.take <= queue.size());
    int64_t rows = 0;
    for (size_t i = 0; i < plan.take; ++i) {
      rows += queue[i].rows;
      CHECK(queue[i].row_shape == queue[0].row_shape);
    }
    CHECK(rows <= most);
    // An idle instance with work either runs or has a time to wake at: no request is forgotten.
    if (executing == 0) CHECK((plan.take > 0) != plan.wake_at_ns.has_value());
  }
}
