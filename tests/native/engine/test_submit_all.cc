// Requests that come in one piece: each is treated as if it had come alone.
#include <doctest/doctest.h>

#include <thread>
#include <utility>
#include <vector>

#include "answers.h"
#include "engine/model.h"
#include "manual_executor.h"

using namespace npuserve::engine;
using namespace testing;
using npuserve::core::StatusCode;

namespace {

ModelOptions options(int64_t max_batch_size, int64_t max_queue_size = 0) {
  ModelOptions options;
  options.scheduling.batching.max_batch_size = max_batch_size;
  options.scheduling.batching.dynamic_batching = true;
  options.scheduling.batching.max_queue_size = max_queue_size;
  options.variable_output_axes = {{1}};
  return options;
}

std::vector<core::Request> prepare(Client& client, int count) {
  std::vector<core::Request> requests;
  for (int i = 0; i < count; ++i) requests.push_back(client.prepare(1, 4));
  return requests;
}

}  // namespace

TEST_CASE("requests that come together share a batch and are answered each") {
  ManualDevice device;
  Model model(options(4), manual_executors(device, tenfold({{1, 4}, {4, 4}})));
  Client client(model);
  std::vector<core::Request> requests = prepare(client, 4);
  model.submit_all(std::move(requests));
  for (uint64_t token = 0; token < 4; ++token) CHECK(client.is_right(token));
  CHECK(device.launched().size() == 1);
}

TEST_CASE("of requests that come together those are refused that the queue has no room for") {
  ManualDevice device(false);
  Model model(options(1, 3), manual_executors(device, tenfold({{1, 4}})));
  Client client(model);
  client.send(1, 4);
  client.send(1, 4);
  while (device.launched().size() < 2) std::this_thread::yield();  // both slots are taken, the queue is empty
  std::vector<core::Request> requests = prepare(client, 5);
  model.submit_all(std::move(requests));
  for (const uint64_t token : {5, 6}) {
    CHECK(client.answer(token).status.code() == StatusCode::kUnavailable);
    CHECK(client.answer(token).status.message() == "Exceeds maximum queue size");
  }
  device.run_all();
  for (uint64_t token = 0; token < 5; ++token) CHECK(client.is_right(token));
  CHECK(client.all_answered_once());
}

TEST_CASE("a request that does not fit is answered, and those that came with it go on") {
  ManualDevice device;
  Model model(options(4), manual_executors(device, tenfold({{4, 4}})));
  Client client(model);
  std::vector<core::Request> requests = prepare(client, 2);
  requests.push_back(client.prepare(1, 9));  // no gear is as long
  requests.push_back(client.prepare(1, 4));
  requests[1].inputs.clear();
  model.submit_all(std::move(requests));
  CHECK(client.is_right(0));
  CHECK(client.answer(1).status.code() == StatusCode::kInternal);
  CHECK(client.answer(2).status.code() == StatusCode::kInvalidArgument);
  CHECK(client.is_right(3));
  CHECK(client.all_answered_once());
}

TEST_CASE("a closed model refuses all of them") {
  ManualDevice device;
  Model model(options(4), manual_executors(device, tenfold({{4, 4}})));
  Client client(model);
  model.close();
  std::vector<core::Request> requests = prepare(client, 3);
  model.submit_all(std::move(requests));
  for (uint64_t token = 0; token < 3; ++token) {
    CHECK(client.answer(token).status.code() == StatusCode::kUnavailable);
  }
  CHECK(client.all_answered_once());
}
