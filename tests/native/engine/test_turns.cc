// Models that share a device, on real threads: the order in which their batches reach it, and that nobody waits for
// ever.
#include "engine/turns.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "answers.h"
#include "engine/model.h"
#include "manual_executor.h"

namespace core = npuserve::core;
using npuserve::batching::GivenPool;
using npuserve::batching::SeatOptions;
using npuserve::engine::Executor;
using npuserve::engine::Model;
using npuserve::engine::ModelOptions;
using npuserve::engine::SlotBuffers;
using npuserve::engine::Turns;
using testing::Client;
using testing::ManualDevice;
using testing::ManualExecutor;
using testing::tenfold;

namespace {

// One that knows what its gear costs.
class Priced final : public Executor {
 public:
  Priced(ManualDevice& device, const core::Signature& signature, int64_t cost_ns)
      : executor_(device, signature), cost_ns_(cost_ns) {}

  const core::Signature& signature() const override { return executor_.signature(); }
  size_t slot_count() const override { return executor_.slot_count(); }
  const SlotBuffers& buffers(size_t slot) const override { return executor_.buffers(slot); }
  std::vector<int64_t> costs_ns() const override { return {cost_ns_}; }
  core::Status attach() noexcept override { return executor_.attach(); }
  core::Status launch(size_t slot, size_t gear) noexcept override { return executor_.launch(slot, gear); }
  core::Status wait(size_t slot) noexcept override { return executor_.wait(slot); }
  core::Status settle() noexcept override { return executor_.settle(); }

 private:
  ManualExecutor executor_;
  int64_t cost_ns_;
};

// Each request is an execution; `length` tells the model's from those of others.
std::unique_ptr<Model> open(ManualDevice& device, const std::shared_ptr<Turns>& turns, int64_t length, int64_t cost_ns,
                            std::vector<SeatOptions> seats) {
  ModelOptions options;
  options.scheduling.batching = {.max_batch_size = 1};
  options.variable_output_axes = {{1}};
  options.turns = turns;
  options.seats = std::move(seats);
  for (const SeatOptions& seat : options.seats) options.devices.push_back(seat.device);
  std::vector<std::unique_ptr<Executor>> executors;
  for (size_t i = 0; i < options.seats.size(); ++i) {
    executors.push_back(std::make_unique<Priced>(device, tenfold({{1, length}}), cost_ns));
  }
  return std::make_unique<Model>(std::move(options), std::move(executors));
}

SeatOptions seat(int device, std::vector<npuserve::batching::ResourceNeed> needs = {}) {
  return {.device = device, .needs = std::move(needs)};
}

}  // namespace

TEST_CASE("models with requests waiting get the device by what their executions cost") {
  constexpr int kRequests = 600;
  constexpr int kRatio = 10;
  ManualDevice device(false);
  const auto turns = std::make_shared<Turns>();
  const auto cheap = open(device, turns, 4, 1'000'000, {seat(0)});
  const auto dear = open(device, turns, 16, kRatio * 1'000'000, {seat(0)});
  Client of_cheap(*cheap);
  Client of_dear(*dear);
  for (int i = 0; i < kRequests; ++i) {
    of_cheap.send(1, 4);
    of_dear.send(1, 16);
  }
  device.await_launches(4);  // two of each, a slot: now both have more than they may run
  device.run_all();
  CHECK(of_cheap.all_answered_once());
  CHECK(of_dear.all_answered_once());
  int cheaps = 0;
  int dears = 0;
  for (const testing::Launched& batch : device.launched()) {
    ++(batch.input.size() == 4 ? cheaps : dears);
    if (cheaps >= kRequests - kRatio) break;  // soon it has none left in its queue
    // Two executions of the one that leads; each may have taken one that it has not launched; and one came first.
    REQUIRE(std::abs(cheaps - kRatio * dears) <= 4 * kRatio);
  }
  CHECK(dears >= kRequests / kRatio - 5);
}

TEST_CASE("executions that need the same resource run one at a time, of whatever model and device") {
  ManualDevice device;
  const auto turns = std::make_shared<Turns>();
  const auto first = open(device, turns, 4, 1, {seat(0, {{"R", 2, true}})});
  const auto second = open(device, turns, 16, 1, {seat(1, {{"R", 2, true}}), seat(2, {{"R", 1, true}})});
  Client of_first(*first);
  Client of_second(*second);
  for (int i = 0; i < 300; ++i) {
    of_first.send(1, 4);
    of_second.send(1, 16);
  }
  CHECK(of_first.all_answered_once());
  CHECK(of_second.all_answered_once());
  // Of those that need one of two, two run together: the second model's last instance alone.
  CHECK(device.most_in_flight() <= 2);
}

TEST_CASE("a model that needs what can never be had is not made") {
  ManualDevice device;
  const auto turns = std::make_shared<Turns>(std::vector<GivenPool>{{.name = "R", .count = 1}});
  CHECK_THROWS_WITH_AS(open(device, turns, 4, 1, {seat(0), seat(0, {{"R", 2, false}})}),
                       doctest::Contains("Resource count for \"R\" is limited to 1"), std::invalid_argument);
  CHECK_NOTHROW(open(device, turns, 4, 1, {seat(0, {{"R", 1, false}})}));
}

TEST_CASE("whatever is sent, given up and closed at once, every request is answered once") {
  constexpr int kThreads = 4;
  constexpr int kRequests = 200;
  for (int round = 0; round < 10; ++round) {
    ManualDevice device;
    const auto turns = std::make_shared<Turns>();
    std::vector<std::unique_ptr<Model>> models;
    models.push_back(open(device, turns, 4, 1000, {seat(0), seat(1)}));
    models.push_back(open(device, turns, 8, 7000, {seat(0, {{"R", 1, false}}), seat(1, {{"R", 2, false}})}));
    models.push_back(open(device, turns, 16, 0, {seat(1, {{"R", 2, false}})}));
    std::vector<std::unique_ptr<Client>> clients;
    for (const auto& model : models) clients.push_back(std::make_unique<Client>(*model));
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < kRequests; ++i) {
          const auto which = static_cast<size_t>((thread + i) % 3);
          const uint64_t token = clients[which]->send(1, 4);
          if (i % 3 == 0) models[which]->cancel(token);
        }
      });
    }
    if (round % 2 == 1) models.front()->close();
    for (std::thread& thread : threads) thread.join();
    for (const auto& client : clients) CHECK(client->all_answered_once());
    for (const auto& model : models) CHECK(model->pending() == 0);
  }
}
