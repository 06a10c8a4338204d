// Models that share a device, in virtual time: what share each gets, how far one is ahead, and who is held up.
#include "batching/turns.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <vector>

#include "batching/scheduler_core.h"

namespace npuserve::batching {
namespace {

using Seat = Turns::Seat;

// A device that runs what is queued on it in order, and instances that each keep two executions on it while they may.
class SharedDevice {
 public:
  struct Client {
    Seat seat;
    int64_t cost_ns;
    bool has_requests = true;
    int64_t queued = 0;  // executions on the device
    int64_t ended = 0;
  };

  explicit SharedDevice(std::vector<std::pair<int64_t, double>> costs_and_weights) {
    uint64_t model = 0;
    for (const auto& [cost_ns, weight] : costs_and_weights) {
      clients.push_back({.seat = turns.add({.model = ++model, .weight = weight}), .cost_ns = cost_ns});
    }
  }

  void run(int64_t executions, const std::function<void()>& look = [] {}) {
    while (executions-- > 0) {
      fill();
      REQUIRE(!device_.empty());  // somebody always has requests, so the device is never idle
      const size_t first = device_.front();
      device_.pop_front();
      Client& client = clients[first];
      --client.queued;
      ++client.ended;
      turns.give_back(client.seat);
      turns.set_backlogged(first + 1, client.has_requests);
      look();
    }
  }

  double service(size_t client) const { return static_cast<double>(clients[client].ended * clients[client].cost_ns); }

  Turns turns;
  std::vector<Client> clients;

 private:
  static constexpr int64_t kSlots = 2;

  void fill() {
    bool taken = true;
    while (taken) {
      taken = false;
      for (size_t i = 0; i < clients.size(); ++i) {
        Client& client = clients[i];
        if (!client.has_requests) {
          turns.withdraw(client.seat);
          continue;
        }
        if (client.queued == kSlots || !turns.take(client.seat)) continue;
        turns.charge(client.seat, client.cost_ns);
        turns.set_backlogged(i + 1, true);
        ++client.queued;
        device_.push_back(i);
        taken = true;
      }
    }
  }

  std::deque<size_t> device_;
};

TEST_CASE("models whose executions cost 1 and 10 get the same time") {
  SharedDevice device({{1'000'000, 1}, {10'000'000, 1}});
  device.run(10'000);
  CHECK(device.service(0) / device.service(1) == doctest::Approx(1).epsilon(0.01));
}

TEST_CASE("a model of weight 3 gets three times the time of one of weight 1") {
  SharedDevice device({{2'000'000, 1}, {5'000'000, 3}});
  device.run(10'000);
  CHECK(device.service(1) / device.service(0) == doctest::Approx(3).epsilon(0.01));
}

TEST_CASE("no model is ahead of another, weights counted, by more than what two of its executions queue") {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::pair<int64_t, double>> models;
    for (int i = 0; i < 2 + round % 4; ++i) models.emplace_back(1 + random() % 1000, 1 + random() % 5);
    SharedDevice device(models);
    const auto normalized = [&](size_t i) { return device.service(i) / models[i].second; };
    const auto one = [&](size_t i) { return static_cast<double>(models[i].first) / models[i].second; };
    device.run(2000, [&] {
      for (size_t i = 0; i < models.size(); ++i) {
        for (size_t j = 0; j < models.size(); ++j) {
          // Two of the one that leads; and what is taken and has not ended, of the one that is behind.
          REQUIRE(normalized(i) - normalized(j) <= 2 * one(i) + 2 * one(j) + 1e-6);
        }
      }
    });
  }
}

TEST_CASE("a model without requests holds nobody up, and saves nothing for when it comes back") {
  SharedDevice device({{1'000'000, 1}, {1'000'000, 1}});
  device.clients[0].has_requests = false;
  device.run(1000);
  CHECK(device.clients[1].ended >= 998);
  const int64_t before = device.clients[1].ended;
  device.clients[0].has_requests = true;
  device.run(1000);
  CHECK(std::abs(device.clients[1].ended - before - 500) <= 4);
}

TEST_CASE("an instance that is held is passed over, and asked again when it is not") {
  SchedulerCore core({.batching = {.max_batch_size = 1}}, {}, {0, 1}, 1);
  REQUIRE(core.submit({}, 0).verdict == Verdict::kQueued);
  REQUIRE(core.decide(0, 0).take);
  core.set_held(0, true);
  CHECK_FALSE(core.decide(0, 0).take);
  CHECK(core.decide(1, 0).take);
  core.set_held(1, true);
  CHECK_FALSE(core.next_instance(0));
  core.set_held(0, false);
  CHECK(core.decide(0, 0).take);
}

TEST_CASE("models on different devices do not wait for each other") {
  Turns turns;
  const Seat first = turns.add({.model = 1, .device = 0});
  const Seat second = turns.add({.model = 2, .device = 1});
  for (int i = 0; i < 100; ++i) {
    REQUIRE(turns.take(first));
    turns.charge(first, 1'000'000);
  }
  CHECK(turns.take(second));
}

TEST_CASE("a model that does not share waits for nobody, and nobody for it") {
  Turns turns;
  const Seat alone = turns.add({.model = 1, .shares = false});
  const Seat other = turns.add({.model = 2});
  for (int i = 0; i < 10; ++i) {
    for (const Seat seat : {alone, other}) {
      REQUIRE(turns.take(seat));
      turns.charge(seat, seat == alone ? 1 : 1000);
      turns.set_backlogged(seat == alone ? 1 : 2, true);
    }
  }
}

TEST_CASE("who was refused is called once its turn has come") {
  Turns turns;
  const Seat slow = turns.add({.model = 1});
  const Seat fast = turns.add({.model = 2});
  const auto run = [&](Seat seat, int64_t cost_ns) {
    REQUIRE(turns.take(seat));
    turns.charge(seat, cost_ns);
    turns.set_backlogged(seat == slow ? 1 : 2, true);
  };
  run(fast, 1);
  run(slow, 10);
  run(slow, 10);
  REQUIRE_FALSE(turns.take(slow));
  CHECK(turns.called().empty());
  for (int i = 0; i < 9; ++i) run(fast, 1);
  CHECK(turns.called() == std::vector{slow});
  CHECK(turns.called().empty());
  CHECK(turns.take(slow));
}

TEST_CASE("the turn of a model that gave up goes to the others") {
  Turns turns;
  const Seat first = turns.add({.model = 1});
  const Seat second = turns.add({.model = 2});
  REQUIRE(turns.take(first));
  turns.charge(first, 10);
  turns.set_backlogged(1, true);
  REQUIRE(turns.take(second));
  turns.charge(second, 1);
  turns.set_backlogged(2, true);
  REQUIRE(turns.take(first));
  turns.charge(first, 10);
  REQUIRE_FALSE(turns.take(first));
  SUBCASE("it withdraws") {
    turns.give_back(second);
    turns.withdraw(second);
  }
  SUBCASE("its last request was cancelled") { turns.set_backlogged(2, false); }
  SUBCASE("it is unloaded") {
    turns.give_back(second);
    turns.remove(second);
  }
  CHECK(turns.called() == std::vector{first});
}

std::vector<ResourceNeed> needs(int64_t count, bool is_global = false) { return {{"R", count, is_global}}; }

TEST_CASE("an execution needs its resources, and gives them back") {
  Turns turns({{.name = "R", .count = 3}});
  const Seat first = turns.add({.model = 1, .needs = needs(2)});
  const Seat second = turns.add({.model = 2, .needs = needs(2)});
  REQUIRE(turns.take(first));
  turns.charge(first, 1);
  CHECK_FALSE(turns.take(second));
  CHECK(turns.called().empty());
  turns.give_back(first);
  CHECK(turns.called() == std::vector{second});
  CHECK(turns.take(second));
}

TEST_CASE("a pool is of each device, or of all if it is global, and as large as the largest need unless it is given") {
  for (const bool is_global : {false, true}) {
    Turns turns;
    const Seat large = turns.add({.model = 1, .device = 0, .needs = needs(2, is_global)});
    const Seat small = turns.add({.model = 2, .device = 1, .needs = needs(1, is_global)});
    REQUIRE(turns.take(small));
    turns.charge(small, 1);
    CHECK(turns.take(large) == !is_global);
  }
}

TEST_CASE("who waits for resources holds up no model that needs none") {
  Turns turns;
  const Seat first = turns.add({.model = 1, .device = 0, .needs = needs(1, true)});
  const Seat second = turns.add({.model = 2, .device = 1, .needs = needs(1, true)});
  const Seat free = turns.add({.model = 3, .device = 1});
  REQUIRE(turns.take(first));
  turns.charge(first, 1000);
  REQUIRE_FALSE(turns.take(second));
  for (int i = 0; i < 10; ++i) {
    CHECK(turns.take(free));
    turns.charge(free, 1000);
  }
}

TEST_CASE("of those that wait for a resource goes first whose executions times priority are fewest") {
  Turns turns;
  const Seat often = turns.add({.model = 1, .priority = 1, .needs = needs(1)});
  const Seat seldom = turns.add({.model = 2, .priority = 3, .needs = needs(1)});
  std::map<Seat, int> executions;
  Seat runs = often;
  REQUIRE(turns.take(runs));
  for (int i = 0; i < 400; ++i) {
    turns.charge(runs, 0);
    ++executions[runs];
    for (const Seat seat : {seldom, often}) REQUIRE_FALSE(turns.take(seat));
    turns.give_back(runs);
    const std::vector<Seat> called = turns.called();
    REQUIRE(called.size() == 1);
    runs = called.front();
    REQUIRE(turns.take(runs));
  }
  CHECK(executions[often] / executions[seldom] == 3);
}

TEST_CASE("needs that no pool can ever serve are refused, and count for nothing") {
  Turns turns({{.name = "R", .count = 4, .device = 1}, {.name = "R", .count = 1}});
  CHECK_THROWS_WITH(turns.add({.model = 1, .device = 0, .needs = needs(4)}),
                    "Resource count for \"R\" is limited to 1 which will prevent scheduling of one or more model "
                    "instances, the minimum required count is 4");
  CHECK_NOTHROW(turns.add({.model = 1, .device = 1, .needs = needs(4)}));
  CHECK_THROWS_WITH(
      turns.add({.model = 2, .device = 1, .needs = {{"R", 1, true}}}),
      "Resource \"R\" is present as both global and device-specific resource in the model configuration.");
  CHECK_THROWS_AS(turns.add({.model = 2, .needs = {{"S", 1, false}}}), std::invalid_argument);
}

}  // namespace
}  // namespace npuserve::batching
