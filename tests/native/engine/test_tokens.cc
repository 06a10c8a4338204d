// Where the device's work went: useful, padding, for nobody any more, for nobody at all.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "answers.h"
#include "engine/model.h"
#include "manual_executor.h"

namespace core = npuserve::core;
using npuserve::engine::Counters;
using npuserve::engine::GearCounters;
using npuserve::engine::Model;
using npuserve::engine::ModelOptions;
using testing::Client;
using testing::manual_executors;
using testing::ManualDevice;
using testing::tenfold;

namespace {

const std::vector<std::pair<int64_t, int64_t>> kGears{{1, 4}, {8, 4}, {2, 16}, {8, 16}};

std::unique_ptr<Model> make_model(ManualDevice& device, bool buckets, size_t instances = 1) {
  ModelOptions made;
  made.scheduling.batching = {.max_batch_size = 8, .dynamic_batching = true};
  made.scheduling.buckets = buckets;
  made.variable_output_axes = {{1}};
  return std::make_unique<Model>(std::move(made), manual_executors(device, tenfold(kGears), 2, instances));
}

void expect_all_accounted(const Counters& counters, ManualDevice& device) {
  std::vector<uint64_t> executed(kGears.size());
  for (const testing::Launched& batch : device.launched()) ++executed[batch.gear];
  REQUIRE(counters.gears.size() == kGears.size());
  for (size_t i = 0; i < kGears.size(); ++i) {
    const GearCounters& gear = counters.gears[i];
    const auto held = static_cast<uint64_t>(kGears[i].first * kGears[i].second);
    CHECK(gear.executions == executed[i]);
    CHECK(gear.useful + gear.padding + gear.cancelled + gear.expired + gear.empty == gear.executions * held);
  }
}

}  // namespace

TEST_CASE("a request that is given up while it executes is answered, and its work was for nobody") {
  ManualDevice device(false);
  const auto model = make_model(device, true);
  Client client(*model);
  const uint64_t given_up = client.send(1, 3);
  device.await_launches(1);
  CHECK_FALSE(model->cancel(given_up));
  device.run_all();
  CHECK(client.is_right(given_up));
  CHECK_FALSE(model->cancel(given_up));
  const GearCounters gear = model->statistics().gears[0];
  CHECK(gear.cancelled == 3);
  CHECK(gear.useful == 0);
  CHECK(gear.padding == 1);
  CHECK(model->statistics().success.count == 1);
}

TEST_CASE("a request whose deadline passes while it executes is answered, and its work was for nobody") {
  ManualDevice device(false);
  const auto model = make_model(device, true);
  Client client(*model);
  core::Request hurried = client.prepare(2, 4);
  const uint64_t token = hurried.token;
  hurried.deadline_ns = core::steady_now_ns() + 1'000'000;
  const int64_t deadline_ns = hurried.deadline_ns;
  model->submit(std::move(hurried));
  device.await_launches(1);
  while (core::steady_now_ns() <= deadline_ns) std::this_thread::yield();
  device.run_all();
  CHECK(client.is_right(token));
  const GearCounters gear = model->statistics().gears[1];
  CHECK(gear.expired == 8);
  CHECK(gear.empty == 24);
  CHECK(gear.cancelled + gear.useful + gear.padding == 0);
}

TEST_CASE("a receiver that cannot take its outputs had no use of them") {
  ManualDevice device;
  const auto model = make_model(device, true);
  Client client(*model);
  client.refuse_delivery({core::StatusCode::kInternal, "out of memory for the outputs"});
  (void)client.answer(client.send(1, 4));
  CHECK(model->statistics().gears[0].cancelled == 4);
}

TEST_CASE("an execution that failed ran nothing that counts") {
  ManualDevice device;
  device.fail("launch", 1, {core::StatusCode::kInternal, "broken"});
  const auto model = make_model(device, false);
  Client client(*model);
  (void)client.answer(client.send(1, 4));
  CHECK(model->statistics().gears[0].executions == 0);
  CHECK(model->statistics().gears[0].useful == 0);
}

TEST_CASE("under load, with requests given up and deadlines that pass, every token is accounted for") {
  for (const bool buckets : {false, true}) {
    ManualDevice device;
    const auto model = make_model(device, buckets, 2);
    Client client(*model);
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 8; ++thread) {
      threads.emplace_back([&, thread] {
        std::mt19937 random(thread);
        for (int i = 0; i < 300; ++i) {
          core::Request request = client.prepare(1 + random() % 2, 1 + random() % 16);
          const uint64_t token = request.token;
          if (i % 5 == 0) request.deadline_ns = core::steady_now_ns() + random() % 200'000;
          model->submit(std::move(request));
          if (i % 3 == 0) model->cancel(token);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(client.all_answered_once());
    const Counters counters = model->statistics();
    CHECK(counters.success.count == client.count(core::StatusCode::kOk));
    CHECK(counters.fail.count == client.count(core::StatusCode::kCancelled));
    CHECK(counters.success.count + counters.fail.count == 8 * 300);
    expect_all_accounted(counters, device);
  }
}
