// Priorities, timeouts, sizes, waits: who goes first, and who is refused with which words.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "answers.h"
#include "engine/model.h"
#include "manual_executor.h"

namespace core = npuserve::core;
using npuserve::batching::QueuePolicy;
using npuserve::engine::Counters;
using npuserve::engine::FailureReason;
using npuserve::engine::Model;
using npuserve::engine::ModelOptions;
using testing::Client;
using testing::manual_executors;
using testing::ManualDevice;
using testing::tenfold;

namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kHour = 3'600'000 * kMillisecond;

// Each request is a batch.
ModelOptions options() {
  ModelOptions made;
  made.name = "scorer";
  made.scheduling.batching = {.max_batch_size = 1, .dynamic_batching = true};
  made.variable_output_axes = {{1}};
  return made;
}

ModelOptions with_levels(int64_t levels, int64_t default_level) {
  ModelOptions made = options();
  made.scheduling.levels = levels;
  made.scheduling.default_level = default_level;
  made.has_levels = true;
  return made;
}

ModelOptions with_policy(const QueuePolicy& policy) {
  ModelOptions made = options();
  made.scheduling.default_policy = policy;
  return made;
}

std::unique_ptr<Model> make_model(ManualDevice& device, ModelOptions made) {
  return std::make_unique<Model>(std::move(made), manual_executors(device, tenfold({{1, 4}}), 1));
}

uint64_t send(Client& client, Model& model, uint64_t priority, std::optional<int64_t> timeout_us = std::nullopt) {
  core::Request request = client.prepare(1, 4);
  const uint64_t token = request.token;
  request.priority = priority;
  request.timeout_us = timeout_us;
  model.submit(std::move(request));
  return token;
}

// Takes the only slot.
uint64_t occupy(Client& client, ManualDevice& device) {
  const uint64_t token = client.send(1, 4);
  device.await_launches(1);
  return token;
}

std::string refusal(const ModelOptions& made) {
  ManualDevice device;
  try {
    make_model(device, made);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("higher levels go first, those of a level in order, those without one with the default's") {
  ManualDevice device(false);
  const auto model = make_model(device, with_levels(3, 2));
  Client client(*model);
  const uint64_t first = occupy(client, device);
  std::vector<uint64_t> sent;
  for (const uint64_t priority : {3, 0, 1, 2, 1}) sent.push_back(send(client, *model, priority));
  device.run_all();
  CHECK(client.all_answered_once());
  CHECK(client.order() == std::vector<uint64_t>{first, sent[2], sent[4], sent[1], sent[3], sent[0]});
}

TEST_CASE("a level that the model does not have is the sender's mistake") {
  ManualDevice device;
  const auto model = make_model(device, with_levels(3, 1));
  Client client(*model);
  const testing::Answer refused = client.answer(send(client, *model, 4));
  CHECK(refused.status.code() == core::StatusCode::kInvalidArgument);
  CHECK(refused.status.message() == "invalid value for 'priority' of model 'scorer', expected 0 to 3, got 4");
  CHECK(client.answer(send(client, *model, UINT64_MAX)).status.message().ends_with("got 18446744073709551615"));
  CHECK(client.is_right(send(client, *model, 3)));
  CHECK(model->statistics().fail.count == 0);
}

TEST_CASE("on a model without levels and timeouts, priorities and timeouts mean nothing") {
  ManualDevice device;
  const auto model = make_model(device, options());
  Client client(*model);
  CHECK(client.is_right(send(client, *model, 1000, 0)));
  CHECK(client.is_right(send(client, *model, UINT64_MAX, -5)));
}

TEST_CASE("a request that has waited too long is refused while the device is still busy, and is counted") {
  ManualDevice device(false);
  ModelOptions made = with_levels(2, 1);
  made.scheduling.default_policy = {.timeout_ns = kMillisecond};
  // That of the running one, which may take longer than that to begin.
  made.scheduling.policies[1] = {};
  const auto model = make_model(device, made);
  Client client(*model);
  const uint64_t running = occupy(client, device);
  const testing::Answer expired = client.answer(send(client, *model, 2));
  CHECK(expired.status.code() == core::StatusCode::kUnavailable);
  CHECK(expired.status.message() == "Request timeout expired");
  CHECK(expired.deliveries == 0);
  CHECK_FALSE(client.is_answered(running));
  device.run_all();
  CHECK(client.is_right(running));
  CHECK(client.all_answered_once());
  const Counters counters = model->statistics();
  CHECK(counters.fail.count == 1);
  CHECK(counters.failures[static_cast<size_t>(FailureReason::kRejected)] == 1);
  CHECK(counters.expired == 1);
  CHECK(device.launched().size() == 1);
  CHECK(model->pending() == 0);
}

TEST_CASE("a request may wait less long than the others, if the policy lets it, but not longer") {
  ManualDevice device(false);
  const auto model = make_model(device, with_policy({.timeout_ns = kHour, .allows_override = true}));
  Client client(*model);
  occupy(client, device);
  const uint64_t patient = send(client, *model, 0, 2 * kHour / 1000);
  const uint64_t hurried = send(client, *model, 0, 1000);
  CHECK(client.answer(hurried).status.message() == "Request timeout expired");
  CHECK_FALSE(client.is_answered(patient));
  device.run_all();
  CHECK(client.is_right(patient));
}

TEST_CASE("a timeout that is over before it begins is the sender's mistake, where it counts") {
  ManualDevice device;
  ModelOptions made = with_levels(2, 1);
  made.scheduling.policies[2] = {.timeout_ns = kHour, .allows_override = true};
  const auto model = make_model(device, made);
  Client client(*model);
  for (const int64_t timeout_us : {int64_t{0}, int64_t{-1}, INT64_MIN}) {
    const testing::Answer refused = client.answer(send(client, *model, 2, timeout_us));
    CHECK(refused.status.code() == core::StatusCode::kInvalidArgument);
    CHECK(refused.status.message() ==
          "invalid value for 'timeout' of model 'scorer', expected microseconds above 0, got " +
              std::to_string(timeout_us));
    CHECK(client.is_right(send(client, *model, 1, timeout_us)));
  }
  CHECK(client.is_right(send(client, *model, 2, INT64_MAX)));
}

TEST_CASE("requests that time out go last where the policy delays them") {
  ManualDevice device(false);
  const auto model = make_model(device, with_policy({.timeout_ns = kHour, .allows_override = true, .delays = true}));
  Client client(*model);
  const uint64_t first = occupy(client, device);
  const uint64_t late = send(client, *model, 0, 1);
  const int64_t over_ns = core::steady_now_ns() + kMillisecond;
  while (core::steady_now_ns() < over_ns) std::this_thread::yield();
  const uint64_t in_time = send(client, *model, 0);
  device.run_all();
  CHECK(client.all_answered_once());
  CHECK(client.order() == std::vector<uint64_t>{first, in_time, late});
  CHECK(model->statistics().expired == 0);
}

TEST_CASE("each level's queue has its own size") {
  ManualDevice device(false);
  ModelOptions made = with_levels(2, 1);
  made.scheduling.default_policy.max_size = 2;
  made.scheduling.policies[2] = {.max_size = 1};
  const auto model = make_model(device, made);
  Client client(*model);
  occupy(client, device);
  std::vector<uint64_t> sent;
  for (const uint64_t priority : {1, 2, 1, 2, 1}) sent.push_back(send(client, *model, priority));
  for (const size_t refused : {3, 4}) {
    CHECK(client.answer(sent[refused]).status.code() == core::StatusCode::kUnavailable);
    CHECK(client.answer(sent[refused]).status.message() == "Exceeds maximum queue size");
  }
  device.run_all();
  for (const size_t taken : {0, 1, 2}) CHECK(client.is_right(sent[taken]));
  CHECK(model->statistics().failures[static_cast<size_t>(FailureReason::kRejected)] == 2);
}

TEST_CASE("a request that would wait too long is refused at once, with the wait, and in a counter of its own") {
  ManualDevice device(false);
  ModelOptions made = options();
  made.scheduling.max_predicted_wait_ns = 1;
  const auto model = make_model(device, made);
  Client client(*model);
  // What a row takes is known once one has run.
  const uint64_t first = occupy(client, device);
  device.run_one();
  CHECK(client.is_right(first));
  const uint64_t second = client.send(1, 4);
  device.await_launches(2);
  // If the running one should be done by now, the next is queued; then there is work before the one after it.
  const uint64_t next = client.send(1, 4);
  const uint64_t behind = client.send(1, 4);
  const testing::Answer shed = client.answer(client.is_answered(next) ? next : behind);
  CHECK(shed.status.code() == core::StatusCode::kUnavailable);
  CHECK(shed.status.message().starts_with("model 'scorer' is overloaded: a request would wait about "));
  CHECK(shed.status.message().ends_with(" ms, more than admission_max_wait_us allows"));
  device.run_all();
  CHECK(client.is_right(second));
  const Counters counters = model->statistics();
  CHECK(client.all_answered_once());
  CHECK(counters.shed == client.count(core::StatusCode::kUnavailable));
  CHECK(counters.fail.count == 0);
  CHECK(counters.failures == std::array<uint64_t, npuserve::engine::kFailureReasons>{});
}

TEST_CASE("closing answers requests that time out meanwhile, and those that do not") {
  ManualDevice device(false);
  const auto model = make_model(device, with_policy({.timeout_ns = kHour, .allows_override = true}));
  Client client(*model);
  const uint64_t running = occupy(client, device);
  const uint64_t patient = send(client, *model, 0);
  const uint64_t hurried = send(client, *model, 0, 5'000);
  std::thread closer([&] { model->close(); });
  CHECK(client.answer(hurried).status.message() == "Request timeout expired");
  device.run_all();
  closer.join();
  CHECK(client.is_right(running));
  CHECK(client.is_right(patient));
  CHECK(client.all_answered_once());
}

TEST_CASE("queue options that contradict themselves are refused") {
  ModelOptions bad = with_levels(0, 1);
  CHECK(refusal(bad) == "a queue needs 1 priority level or more");
  bad = with_levels(3, 4);
  CHECK(refusal(bad) == "the default priority level 4 is not in 1 to 3");
  bad = with_levels(2, 1);
  bad.scheduling.policies[3] = {};
  CHECK(refusal(bad) == "there is a queue policy for priority level 3, which is not in 1 to 2");
  bad = with_levels(2, 1);
  bad.preserve_ordering = true;
  CHECK(refusal(bad) ==
        "requests that overtake others, by buckets, priority levels or delays, contradict the ordering");
  CHECK(refusal(with_policy({.timeout_ns = -1})) == "the timeout and the size of a queue must be 0 or more");
  bad = options();
  bad.scheduling.batching.dynamic_batching = false;
  bad.scheduling.buckets = true;
  CHECK(refusal(bad) == "buckets need dynamic batching");
  bad = options();
  bad.devices = {0, 1};
  CHECK(refusal(bad) == "devices must name a device for each instance");
}
