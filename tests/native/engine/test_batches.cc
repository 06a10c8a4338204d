// What is executed, and who gets which rows of it.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "answers.h"
#include "engine/model.h"
#include "manual_executor.h"

namespace core = npuserve::core;
using npuserve::engine::Model;
using npuserve::engine::ModelOptions;
using testing::Client;
using testing::manual_executors;
using testing::ManualDevice;
using testing::tenfold;

namespace {

ModelOptions options(int64_t max_batch_size, bool dynamic_batching = true) {
  ModelOptions made;
  made.scheduling.batching.max_batch_size = max_batch_size;
  made.scheduling.batching.dynamic_batching = dynamic_batching;
  made.variable_output_axes = {{1}};
  return made;
}

std::vector<size_t> gears_of(ManualDevice& device) {
  std::vector<size_t> gears;
  for (const testing::Launched& batch : device.launched()) gears.push_back(batch.gear);
  return gears;
}

// What the client calls rows is part of the shape here.
class Unbatched final : public core::Sink {
 public:
  explicit Unbatched(Model& model) : model_(model) {}

  void submit(core::Request request) override {
    request.rows = 1;
    model_.submit(std::move(request));
  }
  void submit_all(std::vector<core::Request> requests) override {
    for (core::Request& request : requests) request.rows = 1;
    model_.submit_all(std::move(requests));
  }
  bool cancel(uint64_t token) override { return model_.cancel(token); }

 private:
  Model& model_;
};

}  // namespace

TEST_CASE("a request comes back with its own rows and length, computed in a padded gear") {
  ManualDevice device;
  Model model(options(4), manual_executors(device, tenfold({{4, 8}})));
  Client client(model);
  const uint64_t token = client.send(2, 3);
  CHECK(client.is_right(token));
  CHECK(client.answer(token).shape == core::Shape{2, 3});
  const std::vector<int32_t> expected{0, 1, 2, 0, 0, 0, 0, 0, 3, 4, 5, 0, 0, 0, 0, 0};
  std::vector<int32_t> seen = device.launched().front().input;
  CHECK(std::vector<int32_t>(seen.begin(), seen.begin() + 16) == expected);
  CHECK(std::count(seen.begin() + 16, seen.end(), 0) == 16);
}

TEST_CASE("nothing of an earlier batch is left in a slot's padding") {
  ManualDevice device;
  Model model(options(4), manual_executors(device, tenfold({{4, 4}}), 1));
  Client client(model);
  CHECK(client.is_right(client.send(4, 4)));
  CHECK(client.is_right(client.send(1, 1)));
  const std::vector<int32_t> second = device.launched().back().input;
  CHECK(second.front() == 1000);
  CHECK(std::count(second.begin() + 1, second.end(), 0) == 15);
}

TEST_CASE("a busy device gathers what comes; full batches are queued behind the running one") {
  ManualDevice device(false);
  Model model(options(4), manual_executors(device, tenfold({{1, 2}, {4, 2}})));
  Client client(model);
  std::vector<uint64_t> tokens{client.send(1, 2)};
  device.await_launches(1);
  for (int i = 0; i < 3; ++i) tokens.push_back(client.send(1, 2));
  CHECK(device.launched().size() == 1);  // three rows may still grow
  tokens.push_back(client.send(1, 2));
  device.await_launches(2);  // four may not
  for (int i = 0; i < 6; ++i) tokens.push_back(client.send(1, 2));
  CHECK(model.pending() == 11);
  CHECK(device.launched().size() == 2);  // both slots are in flight
  CHECK(device.most_in_flight() == 2);
  device.run_all();
  for (const uint64_t token : tokens) CHECK(client.is_right(token));
  CHECK(gears_of(device) == std::vector<size_t>{0, 1, 1, 1});
  CHECK(model.pending() == 0);
}

TEST_CASE("a growing batch starts when the device is idle") {
  ManualDevice device(false);
  Model model(options(8), manual_executors(device, tenfold({{8, 2}})));
  Client client(model);
  const uint64_t first = client.send(1, 2);
  device.await_launches(1);
  const uint64_t second = client.send(2, 2);
  const uint64_t third = client.send(3, 2);
  device.run_one();
  CHECK(client.is_right(first));
  device.await_launches(2);
  device.run_one();
  CHECK(client.is_right(second));
  CHECK(client.is_right(third));
  CHECK(device.launched().size() == 2);
}

TEST_CASE("different lengths do not share a batch, and each runs in its cheapest gear") {
  ManualDevice device(false);
  Model model(options(4), manual_executors(device, tenfold({{4, 16}, {4, 4}})));
  Client client(model);
  std::vector<uint64_t> tokens;
  for (const int64_t length : {4, 4, 5, 5, 16, 3}) tokens.push_back(client.send(1, length));
  device.run_all();
  for (const uint64_t token : tokens) CHECK(client.is_right(token));
  for (const testing::Launched& batch : device.launched()) CHECK(batch.input.size() == (batch.gear == 0 ? 64 : 16));
  CHECK(gears_of(device).back() == 1);
}

TEST_CASE("batching off: each request is one execution, in order") {
  ManualDevice device;
  Model model(options(4, false), manual_executors(device, tenfold({{1, 2}, {4, 2}})));
  Client client(model);
  for (int i = 0; i < 20; ++i) client.send(1 + i % 4, 2);
  CHECK(client.all_answered_once());
  const std::vector<testing::Launched> launched = device.launched();
  REQUIRE(launched.size() == 20);
  for (size_t i = 0; i < 20; ++i) CHECK(launched[i].input[0] == static_cast<int32_t>(1000 * i));
}

TEST_CASE("a model without a batch dimension takes exact shapes only") {
  ManualDevice device;
  ModelOptions unbatched = options(0, false);
  unbatched.variable_output_axes = {{}};
  Model model(unbatched, manual_executors(device, tenfold({{2, 4}, {3, 4}})));
  Unbatched sink(model);
  const auto send = [&](int64_t rows, int64_t length) {
    Client client(sink);
    return client.answer(client.send(rows, length));
  };
  CHECK(send(2, 4).status.ok());
  CHECK(send(3, 4).shape == core::Shape{3, 4});
  CHECK(send(2, 3).status.code() == core::StatusCode::kInvalidArgument);
}

TEST_CASE("two instances work side by side on one queue") {
  ManualDevice device(false);
  Model model(options(4), manual_executors(device, tenfold({{4, 2}}), 2, 2));
  Client client(model);
  client.send(1, 2);
  device.await_launches(1);  // or the two would share a batch
  client.send(1, 2);
  device.await_launches(2);
  CHECK(device.most_in_flight() == 2);
  device.run_all();
  CHECK(client.all_answered_once());
}

TEST_CASE("a delayed batch runs when its delay is over, or at once when it is full") {
  ManualDevice device;
  ModelOptions delayed = options(2);
  delayed.scheduling.batching.max_queue_delay_ns = 20'000'000;
  Model model(delayed, manual_executors(device, tenfold({{2, 2}})));
  Client client(model);
  const int64_t sent_ns = core::steady_now_ns();
  CHECK(client.is_right(client.send(1, 2)));
  CHECK(core::steady_now_ns() - sent_ns >= 20'000'000);
  client.send(1, 2);
  client.send(1, 2);
  CHECK(client.all_answered_once());
  CHECK(device.launched().size() == 2);
}

TEST_CASE("a request that no gear holds is refused, and is in no counter") {
  ManualDevice device;
  Model model(options(4), manual_executors(device, tenfold({{8, 8}, {2, 16}})));
  Client client(model);
  const testing::Answer longer = client.answer(client.send(1, 17));
  CHECK(longer.status.code() == core::StatusCode::kInvalidArgument);
  CHECK(longer.status.message() == "no gear of the model holds input 'ids' of shape [1,17]; the largest gear is [8,8]");
  CHECK(client.answer(client.send(3, 16)).status.code() == core::StatusCode::kInvalidArgument);
  CHECK(client.is_right(client.send(2, 16)));
  CHECK(model.statistics().fail.count == 0);
}

TEST_CASE("what does not fit the model is the sender's mistake") {
  ManualDevice device;
  Model model(options(4), manual_executors(device, tenfold({{4, 8}})));
  const auto submit = [&](std::vector<core::TensorView> inputs, int64_t rows) {
    model.submit(core::Request{.token = 1, .inputs = std::move(inputs), .rows = rows, .completion = nullptr});
  };
  const std::vector<std::byte> bytes(64);
  const auto view = [&](size_t size, core::Shape shape) { return core::TensorView{bytes.data(), size, shape}; };
  CHECK_THROWS_WITH_AS(submit({}, 1), "expected 1 inputs, got 0", std::invalid_argument);
  CHECK_THROWS_WITH_AS(submit({view(8, {1, 2})}, 0), "rows must be in 1 to 4, got 0", std::invalid_argument);
  CHECK_THROWS_WITH_AS(submit({view(40, {5, 2})}, 5), "rows must be in 1 to 4, got 5", std::invalid_argument);
  CHECK_THROWS_WITH_AS(submit({view(8, {2})}, 1), "input 'ids': expected shape [1,-1], got [2]", std::invalid_argument);
  CHECK_THROWS_WITH_AS(submit({view(8, {1, 2})}, 2), "input 'ids': expected shape [2,-1], got [1,2]",
                       std::invalid_argument);
  CHECK_THROWS_AS(submit({view(8, {1, -2})}, 1), std::invalid_argument);
  CHECK_THROWS_WITH_AS(submit({view(9, {1, 2})}, 1), "input 'ids': expected 8 bytes, got 9", std::invalid_argument);
  CHECK(model.pending() == 0);
}

TEST_CASE("options that contradict the model or themselves are refused") {
  ManualDevice device;
  const auto refusal = [&](const ModelOptions& bad, const core::Signature& signature) -> std::string {
    try {
      Model model(bad, manual_executors(device, signature));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  const core::Signature signature = tenfold({{2, 8}, {4, 8}});
  CHECK(refusal(options(5), signature) == "max_batch_size is 5, but the largest gear holds 4 rows");
  CHECK(refusal(options(-1, false), signature) == "max_batch_size is -1, must be 0 or more");
  CHECK(refusal(options(0), signature) == "dynamic batching needs a max_batch_size of 1 or more");
  ModelOptions bad = options(4);
  bad.scheduling.batching.preferred_batch_sizes = {5};
  CHECK(refusal(bad, signature) == "preferred batch size 5 is not in 1 to max_batch_size (4)");
  bad = options(4);
  bad.scheduling.batching.max_queue_size = -1;
  CHECK(refusal(bad, signature) == "the queue delay and the queue size must be 0 or more");
  bad = options(4);
  bad.variable_output_axes = {};
  CHECK(refusal(bad, signature) == "variable_output_axes has 0 entries for 1 outputs");
  bad.variable_output_axes = {{0}};
  CHECK(refusal(bad, signature) == "variable axis 0 of output 'tenfold' is not one of its non-batch axes");
  core::Signature halved = signature;
  halved.gears[1].output_shapes = {{4, 4}};
  CHECK(refusal(options(4), halved) == "variable axis 1 of output 'tenfold' has size 4 in a gear of length 8");
  halved.gears[1].output_shapes = {{1, 8}};
  CHECK(refusal(options(4), halved) ==
        "output 'tenfold' of shape [1,8] has not the batch dimension of the inputs, but max_batch_size is not 0");
  CHECK(refusal(options(4), {}) == "the model has no gear");
  CHECK_THROWS_AS(Model(options(4), {}), std::invalid_argument);
}
