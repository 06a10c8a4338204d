// Queue policies, levels, instances and batches of equal shapes. What it amounts to over time: test_consequences.cc.
#include "batching/scheduler_core.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <vector>

using npuserve::batching::Admission;
using npuserve::batching::Arrival;
using npuserve::batching::BucketTable;
using npuserve::batching::Decision;
using npuserve::batching::SchedulerCore;
using npuserve::batching::SchedulerOptions;
using npuserve::batching::TakenBatch;
using npuserve::batching::Ticket;
using npuserve::batching::Verdict;

namespace {

constexpr int64_t kMs = 1'000'000;

using Tickets = std::vector<Ticket>;

SchedulerOptions batching(int64_t max_batch_size, int64_t delay_ms = 0) {
  SchedulerOptions options;
  options.batching = {.max_batch_size = max_batch_size,
                      .dynamic_batching = true,
                      .preferred_batch_sizes = {},
                      .max_queue_delay_ns = delay_ms * kMs};
  return options;
}

// Each request is a batch: what is taken is the next.
SchedulerOptions singly() {
  SchedulerOptions options;
  options.batching.max_batch_size = 8;
  return options;
}

SchedulerCore make(const SchedulerOptions& options, std::vector<int> devices = {0}, size_t slots = 2) {
  return {options, BucketTable(), std::move(devices), slots};
}

Admission submit(SchedulerCore& scheduler, Arrival arrival = {}) {
  arrival.capacity_rows = 64;
  return scheduler.submit(arrival, arrival.arrival_ns);
}

Ticket queue(SchedulerCore& scheduler, const Arrival& arrival = {}) {
  const Admission admission = submit(scheduler, arrival);
  REQUIRE(admission.verdict == Verdict::kQueued);
  return admission.ticket;
}

Ticket queue_at(SchedulerCore& scheduler, int64_t now_ms, int64_t priority = 0, int64_t timeout_ms = 0) {
  return queue(scheduler, {.arrival_ns = now_ms * kMs, .priority = priority, .timeout_ns = timeout_ms * kMs});
}

// Takes batches, each executed in no time, until the queue is empty.
Tickets served(SchedulerCore& scheduler, int64_t now_ms = 0) {
  Tickets order;
  while (scheduler.queued() > 0) {
    const TakenBatch batch = scheduler.take(0, now_ms * kMs);
    REQUIRE_FALSE(batch.tickets.empty());
    order.insert(order.end(), batch.tickets.begin(), batch.tickets.end());
    scheduler.ended(0, now_ms * kMs);
    scheduler.release_slot(0);
  }
  return order;
}

}  // namespace

TEST_CASE("an idle instance takes what there is, in order") {
  SchedulerCore scheduler = make(batching(8));
  CHECK(scheduler.decide(0, 0) == Decision{});
  const Ticket first = queue(scheduler);
  const Ticket second = queue(scheduler);
  CHECK(scheduler.queued() == 2);
  CHECK(scheduler.decide(0, 0).take);
  const TakenBatch batch = scheduler.take(0, 0);
  CHECK(batch.tickets == Tickets{first, second});
  CHECK_FALSE(batch.gear.has_value());
  CHECK(scheduler.queued() == 0);
}

TEST_CASE("an instance without a free slot takes nothing, whatever waits") {
  SchedulerCore scheduler = make(batching(1), {0}, 1);
  queue(scheduler);
  queue(scheduler);
  scheduler.take(0, 0);
  CHECK_FALSE(scheduler.has_free_slot(0));
  CHECK(scheduler.decide(0, 0) == Decision{});
  CHECK(scheduler.take(0, 0).tickets.empty());
  scheduler.ended(0, kMs);
  CHECK(scheduler.decide(0, kMs) == Decision{});
  scheduler.release_slot(0);
  CHECK(scheduler.decide(0, kMs).take);
}

TEST_CASE("a request that is cancelled leaves from wherever it stands, and may unblock what is behind it") {
  SchedulerCore scheduler = make(batching(8));
  const Ticket first = queue(scheduler, {.row_shape = {16}});
  const Ticket other = queue(scheduler, {.row_shape = {32}});
  const Ticket third = queue(scheduler, {.row_shape = {16}});
  scheduler.cancel(other);
  CHECK(scheduler.take(0, 0).tickets == Tickets{first, third});
}

TEST_CASE("the queue delay is told as the instant to ask again") {
  SchedulerCore scheduler = make(batching(8, 100));
  queue_at(scheduler, 10);
  CHECK(scheduler.decide(0, 20 * kMs) == Decision{.take = false, .wake_at_ns = 110 * kMs});
  CHECK(scheduler.decide(0, 110 * kMs).take);
  CHECK(scheduler.queue_delay_ns() == 100 * kMs);
}

TEST_CASE("a decision that changes nothing can be asked for any number of times") {
  SchedulerCore scheduler = make(batching(4));
  for (int i = 0; i < 6; ++i) queue(scheduler);
  for (int i = 0; i < 3; ++i) CHECK(scheduler.decide(0, 0).take);
  CHECK(scheduler.take(0, 0).tickets.size() == 4);
  CHECK(scheduler.decide(0, 0) == Decision{});  // executing: two more can grow
}

TEST_CASE("stopping refuses what comes and runs what is there without delay, behind what runs too") {
  SchedulerCore scheduler = make(batching(8, 1000));
  queue(scheduler);
  scheduler.stop();
  scheduler.stop();
  CHECK(scheduler.stopping());
  CHECK(submit(scheduler).verdict == Verdict::kStopping);
  CHECK(scheduler.decide(0, 0).take);
  SchedulerCore busy = make(batching(1));
  queue(busy);
  busy.take(0, 0);
  CHECK(busy.queued() == 0);
  SchedulerCore growing = make(batching(2));
  queue(growing);
  growing.take(0, 0);
  queue(growing);
  CHECK_FALSE(growing.decide(0, 0).take);
  growing.stop();
  CHECK(growing.decide(0, 0).take);
}

TEST_CASE("of several instances one is asked: idle, on the device with the least work left") {
  SchedulerCore scheduler = make(batching(1), {0, 0, 1}, 1);
  // What a row costs is learned from the first batch.
  queue(scheduler);
  scheduler.take(0, 0);
  scheduler.ended(0, 10 * kMs);
  scheduler.release_slot(0);
  for (int i = 0; i < 4; ++i) queue(scheduler);
  CHECK(scheduler.next_instance(0) == 0);
  scheduler.take(0, 10 * kMs);
  CHECK(scheduler.next_instance(10 * kMs) == 2);
  CHECK_FALSE(scheduler.decide(1, 10 * kMs).take);
  CHECK(scheduler.decide(2, 10 * kMs).take);
  scheduler.take(2, 10 * kMs);
  CHECK(scheduler.decide(1, 10 * kMs).take);
  scheduler.take(1, 10 * kMs);
  CHECK_FALSE(scheduler.next_instance(10 * kMs).has_value());
}

TEST_CASE("an instance that executes leaves the work to one that is idle") {
  SchedulerCore scheduler = make(batching(2), {0, 1});
  for (int i = 0; i < 6; ++i) queue(scheduler);
  scheduler.take(0, 0);
  CHECK_FALSE(scheduler.decide(0, 0).take);
  CHECK(scheduler.decide(1, 0).take);
  scheduler.take(1, 0);
  CHECK(scheduler.decide(0, 0).take);  // full, and nobody is idle
}

TEST_CASE("level 1 is served before level 2; without a level, or with one that there is not, the default is meant") {
  SchedulerOptions options = singly();
  options.levels = 3;
  options.default_level = 2;
  SchedulerCore scheduler = make(options);
  const Ticket third = queue_at(scheduler, 0, 3);
  const Ticket none = queue_at(scheduler, 0);
  const Ticket beyond = queue_at(scheduler, 0, 4);
  const Ticket negative = queue_at(scheduler, 0, -1);
  const Ticket first = queue_at(scheduler, 0, 1);
  const Ticket second = queue_at(scheduler, 0, 2);
  CHECK(served(scheduler) == Tickets{first, none, beyond, negative, second, third});
}

TEST_CASE("a model without levels has one, whatever its config says of the default") {
  SchedulerOptions options = singly();
  options.levels = 0;
  options.default_level = 0;
  SchedulerCore scheduler = make(options);
  const Tickets tickets = {queue_at(scheduler, 0), queue_at(scheduler, 0, 1), queue_at(scheduler, 0, 7)};
  CHECK(served(scheduler) == tickets);
}

TEST_CASE("a batch begins with the first level and goes on with the next") {
  SchedulerOptions options = batching(3);
  options.levels = 2;
  SchedulerCore scheduler = make(options);
  const Ticket low = queue_at(scheduler, 0, 2);
  queue_at(scheduler, 0, 2);
  const Ticket high = queue_at(scheduler, 0, 1);
  const Ticket next = queue_at(scheduler, 0, 1);
  CHECK(scheduler.take(0, 0).tickets == Tickets{high, next, low});
}

TEST_CASE("while an instance executes it is given no batch that a more urgent request could still go before") {
  SchedulerOptions options = batching(2);
  options.levels = 2;
  SchedulerCore scheduler = make(options);
  for (const int64_t level : {1, 1, 1, 2, 2}) queue_at(scheduler, 0, level);
  scheduler.take(0, 0);
  CHECK_FALSE(scheduler.decide(0, 0).take);  // full, but with one of level 2
  queue_at(scheduler, 0, 1);
  CHECK(scheduler.decide(0, 0).take);
  scheduler.take(0, 0);
  scheduler.ended(0, 0);
  scheduler.ended(0, 0);
  scheduler.release_slot(0);
  CHECK(scheduler.decide(0, 0).take);  // idle: nothing is worth waiting for
}

TEST_CASE("a level's limit counts those that wait there, and those that timed out and stay") {
  SchedulerOptions options = singly();
  options.levels = 2;
  options.default_policy = {.timeout_ns = 5 * kMs, .allows_override = false, .delays = true, .max_size = 2};
  SchedulerCore scheduler = make(options);
  queue_at(scheduler, 0, 1);
  CHECK(scheduler.expire(5 * kMs).empty());
  queue_at(scheduler, 5, 1);
  CHECK(submit(scheduler, {.arrival_ns = 5 * kMs, .priority = 1}).verdict == Verdict::kQueueFull);
  CHECK(submit(scheduler, {.arrival_ns = 5 * kMs, .priority = 2}).verdict == Verdict::kQueued);
  scheduler.take(0, 5 * kMs);
  CHECK(submit(scheduler, {.arrival_ns = 5 * kMs, .priority = 1}).verdict == Verdict::kQueued);
}

TEST_CASE("a level has its own policy, or the default one") {
  SchedulerOptions options = singly();
  options.levels = 2;
  options.policies[2].max_size = 1;
  SchedulerCore scheduler = make(options);
  for (int i = 0; i < 10; ++i) queue_at(scheduler, 0, 1);
  queue_at(scheduler, 0, 2);
  CHECK(submit(scheduler, {.priority = 2}).verdict == Verdict::kQueueFull);
}

TEST_CASE("the queue's limit counts all levels together") {
  SchedulerOptions options = singly();
  options.levels = 2;
  options.batching.max_queue_size = 2;
  SchedulerCore scheduler = make(options);
  queue_at(scheduler, 0, 1);
  queue_at(scheduler, 0, 2);
  CHECK(submit(scheduler).verdict == Verdict::kQueueFull);
}

TEST_CASE("requests that have waited for the policy's timeout are given back") {
  SchedulerOptions options = singly();
  options.default_policy.timeout_ns = 5 * kMs;
  SchedulerCore scheduler = make(options);
  CHECK_FALSE(scheduler.next_expiry_ns().has_value());
  const Ticket first = queue_at(scheduler, 0);
  const Ticket second = queue_at(scheduler, 1);
  const Ticket third = queue_at(scheduler, 7);
  CHECK(scheduler.next_expiry_ns() == 5 * kMs);
  CHECK(scheduler.expire(5 * kMs - 1).empty());
  CHECK(scheduler.expire(6 * kMs) == Tickets{first, second});
  CHECK(scheduler.next_expiry_ns() == 12 * kMs);
  CHECK(served(scheduler, 7) == Tickets{third});
  CHECK_FALSE(scheduler.next_expiry_ns().has_value());
}

TEST_CASE("who has left the queue does not time out") {
  SchedulerOptions options = batching(8);
  options.default_policy.timeout_ns = 5 * kMs;
  SchedulerCore scheduler = make(options);
  queue_at(scheduler, 0);
  queue_at(scheduler, 0);
  scheduler.take(0, 0);
  scheduler.cancel(queue_at(scheduler, 1));
  CHECK_FALSE(scheduler.next_expiry_ns().has_value());
  CHECK(scheduler.expire(100 * kMs).empty());
}

TEST_CASE("a request's own timeout only shortens the policy's, and only where the policy allows it") {
  SchedulerOptions options = singly();
  options.levels = 3;
  options.default_policy.timeout_ns = 10 * kMs;
  options.policies[2] = {.timeout_ns = 10 * kMs, .allows_override = true, .delays = false, .max_size = 0};
  options.policies[3] = {.timeout_ns = 0, .allows_override = true, .delays = false, .max_size = 0};
  const auto expiry = [&](int64_t level, int64_t timeout_ms) {
    SchedulerCore scheduler = make(options);
    queue_at(scheduler, 0, level, timeout_ms);
    return scheduler.next_expiry_ns();
  };
  CHECK(expiry(1, 3) == 10 * kMs);
  CHECK(expiry(2, 3) == 3 * kMs);
  CHECK(expiry(2, 30) == 10 * kMs);
  CHECK(expiry(2, 0) == 10 * kMs);
  CHECK_FALSE(expiry(3, 3).has_value());  // as Triton: what is unlimited is not shortened
}

TEST_CASE("where the policy delays, who timed out is served after all others of the level, and never again times out") {
  SchedulerOptions options = singly();
  options.levels = 2;
  options.policies[1] = {.timeout_ns = 5 * kMs, .allows_override = false, .delays = true, .max_size = 0};
  SchedulerCore scheduler = make(options);
  const Ticket first = queue_at(scheduler, 0, 1);
  const Ticket second = queue_at(scheduler, 1, 1);
  const Ticket low = queue_at(scheduler, 1, 2);
  CHECK(scheduler.expire(6 * kMs).empty());
  CHECK(scheduler.queued() == 3);
  CHECK_FALSE(scheduler.next_expiry_ns().has_value());
  const Ticket later = queue_at(scheduler, 7, 1);
  CHECK(served(scheduler, 7) == Tickets{later, first, second, low});
}

TEST_CASE("who is delayed can be cancelled") {
  SchedulerOptions options = singly();
  options.default_policy = {.timeout_ns = 5 * kMs, .allows_override = false, .delays = true, .max_size = 0};
  SchedulerCore scheduler = make(options);
  const Ticket first = queue_at(scheduler, 0);
  const Ticket second = queue_at(scheduler, 0);
  scheduler.expire(5 * kMs);
  scheduler.cancel(first);
  CHECK(served(scheduler, 5) == Tickets{second});
}

TEST_CASE("for any traffic the decisions are the policy's over what waits, in the order of levels") {
  std::mt19937 random(3);
  const auto pick = [&](int64_t low, int64_t high) { return low + static_cast<int64_t>(random() % (high - low + 1)); };
  for (int round = 0; round < 200; ++round) {
    SchedulerOptions options = batching(pick(1, 9), pick(0, 1));
    if (pick(0, 1) == 0) options.batching.preferred_batch_sizes = {pick(1, options.batching.max_batch_size)};
    options.levels = pick(1, 3);
    SchedulerCore scheduler = make(options, {0}, 1);
    std::map<int64_t, std::vector<std::pair<Ticket, Arrival>>> waiting;  // by level
    int64_t now_ns = 0;
    for (int step = 0; step < 300; ++step) {
      now_ns += pick(0, kMs / 3);
      const int64_t level = pick(1, options.levels);
      if (pick(0, 4) > 0) {
        Arrival arrival{.rows = pick(1, options.batching.max_batch_size),
                        .arrival_ns = now_ns,
                        .capacity_rows = 64,
                        .row_shape = {pick(0, 9) / 9},
                        .priority = level};
        if (pick(0, 2) > 0) arrival.rows = 1;
        waiting[level].emplace_back(queue(scheduler, arrival), arrival);
      } else if (!waiting[level].empty()) {
        const auto left = waiting[level].begin() + pick(0, static_cast<int64_t>(waiting[level].size()) - 1);
        scheduler.cancel(left->first);
        waiting[level].erase(left);
      }
      std::vector<npuserve::batching::Waiting> leading;
      Tickets order;
      for (const auto& [number, requests] : waiting) {
        for (const auto& [ticket, arrival] : requests) {
          order.push_back(ticket);
          leading.push_back({.rows = arrival.rows,
                             .arrival_ns = arrival.arrival_ns,
                             .capacity_rows = 64,
                             .row_shape = arrival.row_shape});
        }
      }
      const auto plan = npuserve::batching::decide(options.batching, {.now_ns = now_ns, .queue = leading});
      REQUIRE(scheduler.decide(0, now_ns) == Decision{.take = plan.take > 0, .wake_at_ns = plan.wake_at_ns});
      if (plan.take == 0 || pick(0, 2) > 0) continue;
      order.resize(plan.take);
      REQUIRE(scheduler.take(0, now_ns).tickets == order);
      for (auto& [number, requests] : waiting) {
        std::erase_if(requests, [&](const auto& each) { return std::ranges::count(order, each.first) > 0; });
      }
      scheduler.ended(0, now_ns);
      scheduler.release_slot(0);
    }
  }
}

TEST_CASE("a core can be moved") {
  SchedulerCore scheduler = make(batching(8));
  const Ticket ticket = queue(scheduler);
  SchedulerCore moved = std::move(scheduler);
  CHECK(moved.take(0, 0).tickets == Tickets{ticket});
}
