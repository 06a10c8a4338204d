// Whatever fails, each request is answered once, and the instance goes on.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "answers.h"
#include "engine/model.h"
#include "manual_executor.h"

namespace core = npuserve::core;
using npuserve::engine::Counters;
using npuserve::engine::Model;
using npuserve::engine::ModelOptions;
using testing::Client;
using testing::manual_executors;
using testing::ManualDevice;
using testing::tenfold;

namespace {

const core::Status kBroken(core::StatusCode::kInternal, "aclmdlExecuteAsync failed: 507011");

ModelOptions options(int64_t max_queue_size = 0) {
  ModelOptions made;
  made.scheduling.batching = {.max_batch_size = 4, .dynamic_batching = true, .max_queue_size = max_queue_size};
  made.variable_output_axes = {{1}};
  return made;
}

std::unique_ptr<Model> make_model(ManualDevice& device, ModelOptions made = options(), size_t instances = 1) {
  return std::make_unique<Model>(std::move(made), manual_executors(device, tenfold({{4, 4}}), 2, instances));
}

}  // namespace

TEST_CASE("a launch that fails answers its batch, and the next batch runs in the same slot") {
  ManualDevice device;
  device.fail("launch", 1, kBroken);
  const auto model = make_model(device);
  Client client(*model);
  const testing::Answer failed = client.answer(client.send(2, 2));
  CHECK(failed.status.code() == core::StatusCode::kInternal);
  CHECK(failed.status.message() == kBroken.message());
  CHECK(failed.deliveries == 0);
  for (int i = 0; i < 5; ++i) CHECK(client.is_right(client.send(1, 2)));
  CHECK(device.calls("settle") == 1);
}

TEST_CASE("a wait that fails fails all that may have caused it, once each") {
  ManualDevice device(false);
  device.fail("wait", 1, kBroken);
  const auto model = make_model(device);
  Client client(*model);
  client.send(4, 2);
  client.send(4, 2);
  device.run_all();
  CHECK(client.all_answered_once());
  const size_t failed = client.count(core::StatusCode::kInternal);
  CHECK(failed >= 1);  // the second one too, if it had been launched by then
  CHECK(client.is_right(client.send(3, 3)));
  const Counters counters = model->statistics();
  CHECK(counters.fail.count == failed);
  CHECK(counters.success.count == 3 - failed);
  CHECK(counters.execution_count == 3 - failed);
}

TEST_CASE("a failure seen while a second batch is in flight fails that one too: the driver does not say whose it was") {
  ManualDevice device(false);
  device.fail("settle", 1, kBroken);
  device.fail("launch", 1, kBroken);
  const auto model = make_model(device);
  Client client(*model);
  const uint64_t first = client.send(4, 2);
  CHECK(client.answer(first).status.code() == core::StatusCode::kInternal);
  device.run_all();
  CHECK(client.is_right(client.send(4, 2)));
}

TEST_CASE("a thread that cannot reach the device answers, and the model can be closed") {
  for (const int nth : {1, 2}) {
    ManualDevice device;
    device.fail("attach", nth, {core::StatusCode::kUnavailable, "the device is lost"});
    const auto model = make_model(device);
    Client client(*model);
    const testing::Answer failed = client.answer(client.send(1, 1));
    CHECK(failed.status.code() == core::StatusCode::kUnavailable);
    CHECK(client.answer(client.send(1, 1)).status.message() == "the device is lost");
    // No stage ended before it began, though some never happened.
    CHECK(failed.timing.batch_id == 1);
    CHECK(failed.timing.arrival_ns <= failed.timing.start_ns);
    CHECK(failed.timing.start_ns <= failed.timing.gathered_ns);
    CHECK(failed.timing.gathered_ns <= failed.timing.d2h_end_ns);
    CHECK(failed.timing.d2h_end_ns <= failed.timing.scattered_ns);
    model->close();
  }
}

TEST_CASE("failing the nth call of each kind, for every n: each request is answered once and the counters agree") {
  constexpr int kRequests = 12;
  for (const std::string call : {"launch", "wait", "settle"}) {
    for (int nth = 1; nth <= kRequests; ++nth) {
      ManualDevice device;
      device.fail(call, nth, kBroken);
      if (call == "settle") device.fail("launch", nth, kBroken);
      const auto model = make_model(device);
      Client client(*model);
      for (int i = 0; i < kRequests; ++i) client.send(1 + i % 3, 1 + i % 4);
      CHECK(client.all_answered_once());
      const Counters counters = model->statistics();
      CHECK(counters.fail.count == client.count(core::StatusCode::kInternal));
      CHECK(counters.success.count == client.count(core::StatusCode::kOk));
      CHECK(counters.success.count + counters.fail.count == kRequests);
      CHECK(model->pending() == 0);
      CHECK(client.is_right(client.send(1, 1)));
    }
  }
}

TEST_CASE("a receiver that cannot take its outputs fails alone") {
  ManualDevice device;
  const auto model = make_model(device);
  Client client(*model);
  client.refuse_delivery({core::StatusCode::kInternal, "out of memory for the outputs"});
  CHECK(client.answer(client.send(1, 2)).status.code() == core::StatusCode::kInternal);
  client.refuse_delivery({});
  CHECK(client.is_right(client.send(1, 2)));
  const Counters counters = model->statistics();
  CHECK(counters.execution_count == 2);
  CHECK(counters.inference_count == 1);
  CHECK(counters.fail.count == 1);
}

TEST_CASE("a queued request can be cancelled, an executing or answered one cannot") {
  ManualDevice device(false);
  const auto model = make_model(device);
  Client client(*model);
  const uint64_t running = client.send(1, 2);
  device.await_launches(1);
  const uint64_t queued = client.send(1, 2);
  const uint64_t behind = client.send(1, 2);
  CHECK(model->cancel(queued));
  const testing::Answer cancelled = client.answer(queued);
  CHECK(cancelled.status.code() == core::StatusCode::kCancelled);
  CHECK(cancelled.status.message().empty());
  CHECK_FALSE(model->cancel(queued));
  CHECK_FALSE(model->cancel(running));
  CHECK_FALSE(model->cancel(12345));
  CHECK(model->pending() == 2);
  device.run_all();
  CHECK(client.is_right(running));
  CHECK(client.is_right(behind));
  CHECK(model->statistics().fail.count == 1);
  CHECK(client.all_answered_once());
}

TEST_CASE("cancelling the request that blocked a batch lets what is behind it run") {
  ManualDevice device(false);
  const auto model = make_model(device);
  Client client(*model);
  client.send(1, 2);
  device.await_launches(1);
  client.send(1, 2);
  const uint64_t other_length = client.send(1, 3);
  device.await_launches(2);  // closed by the other length
  CHECK(model->cancel(other_length));
  device.run_all();
  CHECK(client.all_answered_once());
}

TEST_CASE("a full queue refuses, with Triton's words, and counts nothing") {
  ManualDevice device(false);
  const auto model = make_model(device, options(2));
  Client client(*model);
  client.send(1, 2);
  device.await_launches(1);
  client.send(1, 2);
  client.send(1, 2);
  const testing::Answer refused = client.answer(client.send(1, 2));
  CHECK(refused.status.code() == core::StatusCode::kUnavailable);
  CHECK(refused.status.message() == "Exceeds maximum queue size");
  device.run_all();
  CHECK(client.all_answered_once());
  CHECK(model->statistics().fail.count == 0);
  CHECK(model->statistics().success.count == 3);
}

TEST_CASE("closing answers what was accepted and refuses what comes after") {
  ManualDevice device(false);
  const auto model = make_model(device);
  Client client(*model);
  std::vector<uint64_t> accepted;
  for (int i = 0; i < 9; ++i) accepted.push_back(client.send(1, 2));
  device.await_launches(1);
  std::thread closer([&] { model->close(); });
  device.run_all();
  closer.join();
  for (const uint64_t token : accepted) CHECK(client.is_right(token));
  const testing::Answer refused = client.answer(client.send(1, 2));
  CHECK(refused.status.code() == core::StatusCode::kUnavailable);
  CHECK(refused.status.message() ==
        "Server is stopping, scheduler for model has stopped accepting new inference requests");
  model->close();
  CHECK(model->pending() == 0);
}

TEST_CASE("closing does not wait for a queue delay") {
  ManualDevice device;
  ModelOptions delayed = options();
  delayed.scheduling.batching.max_queue_delay_ns = 3'600'000'000'000;
  const auto model = make_model(device, delayed);
  Client client(*model);
  const uint64_t token = client.send(1, 2);
  model->close();
  CHECK(client.is_right(token));
}
