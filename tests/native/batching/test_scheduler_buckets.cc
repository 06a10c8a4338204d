// Batches of requests of different lengths. One instance unless said, two slots.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "batching/scheduler_core.h"
#include "signatures.h"

using npuserve::batching::Admission;
using npuserve::batching::Arrival;
using npuserve::batching::BucketTable;
using npuserve::batching::Decision;
using npuserve::batching::SchedulerCore;
using npuserve::batching::SchedulerOptions;
using npuserve::batching::TakenBatch;
using npuserve::batching::Ticket;
using npuserve::batching::Verdict;
using npuserve::batching::test::tokens;

namespace {

using Tickets = std::vector<Ticket>;
using Gears = std::vector<std::pair<int64_t, int64_t>>;

constexpr size_t kShort = 0;
constexpr size_t kLong = 1;

// Rows of 16 and of 64, one or four of them. A gear costs 10 and 1 for each 16 positions; one of four rows is cheaper
// a row: a short row costs 3 (14 / 4), a long one 6 (26 / 4).
const Gears kGears = {{1, 16}, {4, 16}, {1, 64}, {4, 64}};
const std::vector<int64_t> kCosts = {11, 14, 14, 26};

SchedulerOptions by_buckets(int64_t max_overtaken = 8, int64_t delay_ns = 0) {
  SchedulerOptions options;
  options.batching = {
      .max_batch_size = 64, .dynamic_batching = true, .preferred_batch_sizes = {}, .max_queue_delay_ns = delay_ns};
  options.buckets = true;
  options.max_overtaken = max_overtaken;
  return options;
}

SchedulerCore make(const SchedulerOptions& options, const Gears& gears = kGears,
                   const std::vector<int64_t>& costs = kCosts, std::vector<int> devices = {0}) {
  return {options, BucketTable(tokens(gears), costs), std::move(devices), 2};
}

Ticket queue(SchedulerCore& scheduler, size_t bucket, const Arrival& like = {}) {
  Arrival arrival = like;
  arrival.bucket = bucket;
  const Admission admission = scheduler.submit(arrival, arrival.arrival_ns);
  REQUIRE(admission.verdict == Verdict::kQueued);
  return admission.ticket;
}

Tickets queue_many(SchedulerCore& scheduler, size_t count, size_t bucket) {
  Tickets tickets;
  for (size_t i = 0; i < count; ++i) tickets.push_back(queue(scheduler, bucket));
  return tickets;
}

// Takes a batch and executes it in no time.
TakenBatch run(SchedulerCore& scheduler, int64_t now_ns = 0) {
  REQUIRE(scheduler.decide(0, now_ns).take);
  TakenBatch batch = scheduler.take(0, now_ns);
  scheduler.ended(0, now_ns);
  scheduler.release_slot(0);
  return batch;
}

// Makes the instance execute.
void occupy(SchedulerCore& scheduler) {
  queue(scheduler, kShort);
  scheduler.take(0, 0);
  REQUIRE(scheduler.queued() == 0);
}

}  // namespace

TEST_CASE("a request that is alone goes at once, in the cheapest gear that holds it") {
  SchedulerCore scheduler = make(by_buckets(8, 1'000'000));
  const Ticket ticket = queue(scheduler, kLong);
  CHECK(scheduler.decide(0, 0) == Decision{.take = true, .wake_at_ns = {}});
  const TakenBatch batch = run(scheduler);
  CHECK(batch.tickets == Tickets{ticket});
  CHECK(batch.gear == 2);
}

TEST_CASE("requests of different lengths share a batch, in the order in which they came") {
  SchedulerCore scheduler = make(by_buckets());
  const Ticket first_short = queue(scheduler, kShort);
  const Ticket first_long = queue(scheduler, kLong);
  const Ticket second_short = queue(scheduler, kShort);
  const Ticket second_long = queue(scheduler, kLong);
  const TakenBatch batch = run(scheduler);
  CHECK(batch.tickets == Tickets{first_short, first_long, second_short, second_long});
  CHECK(batch.gear == 3);
}

TEST_CASE("the batch that wastes least goes first") {
  SchedulerCore scheduler = make(by_buckets());
  const Ticket lonely = queue(scheduler, kLong);
  const Tickets many = queue_many(scheduler, 4, kShort);
  const TakenBatch batch = run(scheduler);
  CHECK(batch.gear == 1);  // four short rows in the gear for them: 12 of 14; with the long one: 15 of 26
  CHECK(batch.tickets == many);
  CHECK(run(scheduler).tickets == Tickets{lonely});
}

TEST_CASE("of batches that waste as little, the one that ends most waiting for its cost goes first") {
  const std::vector<int64_t> costs = {10, 40, 40, 160};  // nothing is gained by sharing
  SchedulerCore scheduler = make(by_buckets(), kGears, costs);
  const Ticket oldest = queue(scheduler, kLong);
  const Tickets shorts = queue_many(scheduler, 2, kShort);
  CHECK(run(scheduler).tickets == Tickets{shorts[0]});  // has waited for 2 requests, the oldest for 3 and costs 4 times
  queue_many(scheduler, 5, kLong);
  CHECK(run(scheduler).tickets == Tickets{shorts[1]});
  CHECK(run(scheduler).tickets == Tickets{oldest});
}

TEST_CASE("a little is wasted to take requests as they came") {
  const Gears gears = {{4, 60}, {4, 64}};
  const auto first_batch = [&](int64_t cost) {
    SchedulerCore scheduler = make(by_buckets(), gears, {cost, 100});
    Tickets tickets = queue_many(scheduler, 2, kShort);
    for (const Ticket ticket : queue_many(scheduler, 4, kLong)) tickets.push_back(ticket);
    const Tickets taken = run(scheduler).tickets;
    return std::pair(taken == Tickets(tickets.begin(), tickets.begin() + 4),
                     taken == Tickets(tickets.begin() + 2, tickets.end()));
  };
  SUBCASE("1 %") { CHECK(first_batch(98).first); }
  SUBCASE("not 5 %") { CHECK(first_batch(90).second); }
}

TEST_CASE("whoever must be in the next batch is") {
  SchedulerCore scheduler = make(by_buckets(0));
  const Ticket oldest = queue(scheduler, kLong);
  queue_many(scheduler, 8, kShort);
  CHECK(run(scheduler).tickets.front() == oldest);
}

TEST_CASE("a batch never has more rows than the gear, nor than a batch may") {
  SUBCASE("the gear") {
    SchedulerCore scheduler = make(by_buckets());
    queue_many(scheduler, 9, kShort);
    CHECK(run(scheduler).tickets.size() == 4);
  }
  SUBCASE("the batch") {
    SchedulerOptions options = by_buckets();
    options.batching.max_batch_size = 3;
    SchedulerCore scheduler = make(options);
    queue_many(scheduler, 9, kShort);
    const TakenBatch batch = run(scheduler);
    CHECK(batch.tickets.size() == 3);
    CHECK(batch.gear == 1);
  }
}

TEST_CASE("preferred sizes mean nothing") {
  SchedulerOptions options = by_buckets();
  options.batching.preferred_batch_sizes = {2};
  SchedulerCore scheduler = make(options);
  queue_many(scheduler, 4, kShort);
  CHECK(run(scheduler).tickets.size() == 4);
}

TEST_CASE("requests that bring several rows stay whole and in order") {
  SchedulerCore scheduler = make(by_buckets());
  const Ticket two = queue(scheduler, kShort, {.rows = 2});
  const Ticket three = queue(scheduler, kShort, {.rows = 3});
  const Ticket one = queue(scheduler, kShort);
  CHECK(run(scheduler).tickets == Tickets{two});  // the last would fit, but does not overtake its like
  CHECK(run(scheduler).tickets == Tickets{three, one});
}

TEST_CASE("where the head of a line does not fit, shorter requests may") {
  SchedulerCore scheduler = make(by_buckets(0));
  const Ticket first = queue(scheduler, kLong, {.rows = 3});
  const Ticket wide = queue(scheduler, kLong, {.rows = 2});
  const Ticket small = queue(scheduler, kShort);
  CHECK(run(scheduler).tickets == Tickets{first, small});
  CHECK(run(scheduler).tickets == Tickets{wide});
}

TEST_CASE("a request of more rows than its own bucket's gears goes into a longer one's") {
  SchedulerCore scheduler = make(by_buckets(), {{1, 16}, {8, 64}}, {10, 300});
  const Ticket wide = queue(scheduler, kShort, {.rows = 5});
  const TakenBatch batch = run(scheduler);
  CHECK(batch.tickets == Tickets{wide});
  CHECK(batch.gear == 1);
}

TEST_CASE("while an instance executes, only a batch that later requests could not improve is queued behind it") {
  SchedulerCore scheduler = make(by_buckets(), {{1, 16}, {4, 16}, {1, 64}, {4, 64}}, {10, 12, 40, 48});
  occupy(scheduler);
  queue_many(scheduler, 3, kShort);
  CHECK(scheduler.decide(0, 0) == Decision{});
  CHECK(scheduler.take(0, 0).tickets.empty());
  SUBCASE("full") {
    queue(scheduler, kShort);
    CHECK(scheduler.decide(0, 0).take);
    CHECK(scheduler.take(0, 0).tickets.size() == 4);
  }
  SUBCASE("full only with shorter ones, which waste what longer ones would not") {
    queue(scheduler, kLong);
    CHECK_FALSE(scheduler.decide(0, 0).take);
  }
  SUBCASE("stopping, nothing later comes") {
    scheduler.stop();
    CHECK(scheduler.take(0, 0).tickets.size() == 3);
  }
  SUBCASE("idle, it goes at once") {
    scheduler.ended(0, 0);
    CHECK(scheduler.decide(0, 0).take);
  }
}

TEST_CASE("longer requests could still improve a batch that is full of shorter ones") {
  SchedulerCore scheduler = make(by_buckets(), kGears, {10, 12, 40, 48});
  occupy(scheduler);
  queue_many(scheduler, 3, kLong);
  queue(scheduler, kShort);
  CHECK(scheduler.decide(0, 0) == Decision{});
  queue(scheduler, kLong);
  CHECK(scheduler.take(0, 0).tickets.size() == 4);
}

TEST_CASE("where rows cost the same in any number, a batch can still be improved until it is as large as any") {
  SchedulerCore scheduler = make(by_buckets(), {{1, 16}, {4, 16}}, {10, 40});
  occupy(scheduler);
  queue_many(scheduler, 3, kShort);
  CHECK(scheduler.decide(0, 0) == Decision{});
  queue(scheduler, kShort);
  CHECK(scheduler.decide(0, 0).take);
}

TEST_CASE("while an instance executes it is given no batch of requests that others could still go before") {
  SchedulerOptions options = by_buckets();
  options.levels = 2;
  SchedulerCore scheduler = make(options, {{4, 16}}, {40});
  queue(scheduler, kShort, {.priority = 1});
  scheduler.take(0, 0);
  for (int i = 0; i < 4; ++i) queue(scheduler, kShort, {.priority = 2});
  CHECK(scheduler.decide(0, 0) == Decision{});
  scheduler.ended(0, 0);
  CHECK(scheduler.decide(0, 0).take);
}

TEST_CASE("no request is passed over by more batches than the limit") {
  for (const int64_t limit : {0, 1, 3, 8}) {
    CAPTURE(limit);
    SchedulerCore scheduler = make(by_buckets(limit));
    const Ticket lonely = queue(scheduler, kLong);
    int64_t passed = 0;
    for (;; ++passed) {
      while (scheduler.queued() < 9) queue(scheduler, kShort);
      const Tickets taken = run(scheduler).tickets;
      if (std::ranges::count(taken, lonely) == 0) continue;
      CHECK(taken.front() == lonely);
      break;
    }
    CHECK(passed == limit);
  }
}

TEST_CASE("older requests of a later level do not hide that a batch passed over the first") {
  SchedulerOptions options = by_buckets(1);
  options.levels = 2;
  SchedulerCore scheduler = make(options);
  queue(scheduler, kShort, {.priority = 2});
  const Ticket lonely = queue(scheduler, kLong, {.priority = 1});
  for (int i = 0; i < 3; ++i) queue(scheduler, kShort, {.priority = 1});
  CHECK(run(scheduler).tickets.size() == 4);  // filled up from level 2
  queue_many(scheduler, 4, kShort);
  CHECK(run(scheduler).tickets.front() == lonely);
}

TEST_CASE("a request that is due leads though others of its length bring several rows") {
  SchedulerCore scheduler = make(by_buckets(0), {{1, 16}, {4, 16}}, {11, 30});
  const Tickets tickets = {queue(scheduler, kShort), queue(scheduler, kShort, {.rows = 3})};
  queue(scheduler, kShort, {.rows = 3});
  const TakenBatch batch = run(scheduler);
  CHECK(batch.gear == 1);
  CHECK(batch.tickets == tickets);
}

TEST_CASE("a request that is due leads the batch, and what fits goes with it") {
  SchedulerCore scheduler = make(by_buckets(0));
  const Ticket due = queue(scheduler, kShort);
  const Tickets longer = queue_many(scheduler, 5, kLong);
  const TakenBatch batch = run(scheduler);
  CHECK(batch.gear == 3);
  CHECK(batch.tickets == Tickets{due, longer[0], longer[1], longer[2]});
}

TEST_CASE("a request that has waited for the queue delay is due") {
  SchedulerCore scheduler = make(by_buckets(8, 100));
  const Ticket oldest = queue(scheduler, kLong);
  for (int i = 0; i < 8; ++i) queue(scheduler, kShort, {.arrival_ns = 50});
  CHECK(run(scheduler, 99).tickets.size() == 4);
  CHECK(scheduler.decide(0, 99).take);
  CHECK(run(scheduler, 100).tickets.front() == oldest);
}

TEST_CASE("the level served leads; later levels fill what its gear has free") {
  SchedulerOptions options = by_buckets();
  options.levels = 2;
  SchedulerCore scheduler = make(options);
  const Tickets low = {queue(scheduler, kShort, {.priority = 2}), queue(scheduler, kLong, {.priority = 2})};
  Tickets high;
  for (int i = 0; i < 3; ++i) high.push_back(queue(scheduler, kShort, {.priority = 1}));
  const TakenBatch batch = run(scheduler);
  CHECK(batch.gear == 1);
  CHECK(batch.tickets == Tickets{high[0], high[1], high[2], low[0]});  // the long one does not fit the gear
  CHECK(run(scheduler).tickets == Tickets{low[1]});
}

TEST_CASE("a trickle of urgent requests takes with it what fits and makes the run worth more") {
  SchedulerOptions options = by_buckets(0);
  options.levels = 2;
  SchedulerCore scheduler = make(options);
  Tickets low;
  for (int i = 0; i < 3; ++i) low.push_back(queue(scheduler, kShort, {.priority = 2}));
  const Ticket longer = queue(scheduler, kLong, {.priority = 2});
  const Ticket high = queue(scheduler, kShort, {.priority = 1});
  const TakenBatch batch = run(scheduler);
  CHECK(batch.gear == 1);
  CHECK(batch.tickets == Tickets{high, low[0], low[1], low[2]});
  CHECK(run(scheduler).tickets == Tickets{longer});
}

TEST_CASE("urgent requests run in no more rows if later ones gain little by it") {
  SchedulerOptions options = by_buckets(0);
  options.levels = 2;
  SchedulerCore scheduler = make(options, {{1, 16}, {4, 16}}, {100, 390});
  for (int i = 0; i < 3; ++i) queue(scheduler, kShort, {.priority = 2});
  const Ticket high = queue(scheduler, kShort, {.priority = 1});
  CHECK(run(scheduler).tickets == Tickets{high});
}

TEST_CASE("a level waits while the one before it has requests, however long") {
  SchedulerOptions options = by_buckets(0, 1);
  options.levels = 2;
  SchedulerCore scheduler = make(options);
  const Ticket low = queue(scheduler, kLong, {.priority = 2});
  for (int i = 0; i < 20; ++i) {
    const Tickets high = {queue(scheduler, kShort, {.priority = 1}), queue(scheduler, kShort, {.priority = 1})};
    CHECK(run(scheduler, 1000).tickets == high);
  }
  CHECK(run(scheduler, 1000).tickets == Tickets{low});
}

TEST_CASE("what timed out and stays comes after the others, among itself in order") {
  SchedulerOptions options = by_buckets(0);
  options.default_policy = {.timeout_ns = 100, .allows_override = false, .delays = true, .max_size = 0};
  SchedulerCore scheduler = make(options);
  const Ticket late = queue(scheduler, kLong);
  scheduler.expire(100);
  const Ticket timely = queue(scheduler, kShort, {.arrival_ns = 100});
  CHECK(run(scheduler, 100).tickets == Tickets{timely});
  CHECK(run(scheduler, 100).tickets == Tickets{late});
}

TEST_CASE("who was taken does not time out") {
  SchedulerOptions options = by_buckets();
  options.default_policy.timeout_ns = 100;
  SchedulerCore scheduler = make(options);
  queue(scheduler, kShort);
  run(scheduler);
  CHECK_FALSE(scheduler.next_expiry_ns().has_value());
}

TEST_CASE("a cancelled request leaves its line, due or not") {
  SchedulerCore scheduler = make(by_buckets(0));
  const Ticket first = queue(scheduler, kLong);
  const Ticket second = queue(scheduler, kShort);
  scheduler.cancel(first);
  CHECK(run(scheduler).tickets == Tickets{second});
  CHECK(scheduler.decide(0, 0) == Decision{});
}

TEST_CASE("work goes to the device with the least left, as the gears cost") {
  SchedulerCore scheduler = make(by_buckets(), kGears, kCosts, {0, 1});
  queue(scheduler, kLong);
  scheduler.take(0, 0);  // 14
  queue(scheduler, kShort);
  CHECK(scheduler.next_instance(0) == 1);
  scheduler.take(1, 0);  // 11
  queue_many(scheduler, 4, kShort);
  CHECK(scheduler.next_instance(0) == 1);
}

TEST_CASE("without the option, or without gears, requests share by equal shapes") {
  SchedulerOptions options = by_buckets();
  options.buckets = false;
  SchedulerCore scheduler = make(options);
  const Ticket first = queue(scheduler, kShort, {.capacity_rows = 4, .row_shape = {16}});
  queue(scheduler, kLong, {.capacity_rows = 4, .row_shape = {64}});
  const TakenBatch batch = run(scheduler);
  CHECK(batch.tickets == Tickets{first});
  CHECK_FALSE(batch.gear.has_value());
}

TEST_CASE("for any traffic: batches fit, nobody is lost, and none is passed over beyond the limit") {
  std::mt19937 random(11);
  const Gears gears = {{1, 16}, {8, 16}, {2, 32}, {16, 32}, {1, 64}, {4, 64}, {4, 128}, {8, 128}};
  const BucketTable table(tokens(gears), {});
  const size_t buckets = table.buckets().size();
  SchedulerOptions options = by_buckets(3);
  SchedulerCore scheduler = make(options, gears, {});
  struct Waiting {
    size_t order;
    size_t bucket;
    int64_t rows;
    int passed;
  };
  std::map<Ticket, Waiting> waiting;
  size_t order = 0;
  for (int step = 0; step < 20'000; ++step) {
    const unsigned choice = random() % 8;
    if (choice < 5 && waiting.size() < 60) {
      const size_t bucket = random() % buckets;
      const int64_t rows = 1 + static_cast<int64_t>(random() % 4 == 0 ? random() % 4 : 0);
      const Ticket ticket = queue(scheduler, bucket, {.rows = rows});
      REQUIRE(waiting.try_emplace(ticket, Waiting{order++, bucket, rows, 0}).second);
    } else if (choice == 5 && !waiting.empty()) {
      const auto left = std::next(waiting.begin(), static_cast<std::ptrdiff_t>(random() % waiting.size()));
      scheduler.cancel(left->first);
      waiting.erase(left);
    } else if (!waiting.empty()) {
      const TakenBatch batch = run(scheduler);
      REQUIRE_FALSE(batch.tickets.empty());
      size_t oldest = order;
      int64_t rows = 0;
      for (const Ticket ticket : batch.tickets) {
        const Waiting& taken = waiting.at(ticket);
        oldest = std::min(oldest, taken.order);
        rows += taken.rows;
        const auto& holding = std::ranges::find_if(table.buckets(), [&](const auto& bucket) {
          return std::ranges::count(bucket.gears, *batch.gear, &npuserve::batching::BucketGear::gear) > 0;
        });
        REQUIRE(std::ranges::count(holding->holds, taken.bucket) == 1);
        waiting.erase(ticket);
      }
      REQUIRE(rows <= gears[*batch.gear].first);
      for (auto& [ticket, each] : waiting) {
        each.passed += each.order < oldest ? 1 : 0;
        REQUIRE(each.passed <= 3);
      }
    }
    REQUIRE(scheduler.queued() == waiting.size());
  }
}
