// Inputs that the device reads where the request has them.
#include <doctest/doctest.h>

#include <atomic>
#include <span>
#include <string>
#include <thread>
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

ModelOptions options(int64_t max_batch_size) {
  ModelOptions made;
  made.scheduling.batching.max_batch_size = max_batch_size;
  made.scheduling.batching.dynamic_batching = true;
  made.variable_output_axes = {{1}};
  return made;
}

std::span<const std::byte> memory_of(const core::Request& request) {
  return {request.inputs.front().data, request.inputs.front().size_bytes};
}

std::vector<bool> borrowed(ManualDevice& device) {
  std::vector<bool> all;
  for (const testing::Launched& batch : device.launched()) all.push_back(batch.borrowed);
  return all;
}

}  // namespace

TEST_CASE("an input of the gear's shape is read where it lies, others go through the slot") {
  ManualDevice device;
  Model model(options(4), manual_executors(device, tenfold({{1, 4}, {4, 4}})));
  Client client(model);
  const auto ask = [&](int64_t rows, int64_t length, bool lent) {
    core::Request request = client.prepare(rows, length);
    const uint64_t token = request.token;
    const std::byte* const start = request.inputs.front().data;
    if (lent) device.lending().add(memory_of(request));
    model.submit(std::move(request));
    const testing::Answer answer = client.answer(token);
    REQUIRE(answer.status.ok());
    CHECK(answer.values.size() == static_cast<size_t>(rows * length));
    CHECK(answer.values.back() == 10 * (static_cast<int32_t>(1000 * token) + static_cast<int32_t>(rows * length - 1)));
    device.lending().withdraw(start);
  };
  ask(1, 4, true);
  ask(1, 4, false);
  ask(4, 4, true);
  ask(1, 3, true);  // shorter than the gear
  ask(2, 4, true);  // fewer rows than the gear
  CHECK(borrowed(device) == std::vector<bool>{true, false, true, false, false});
}

TEST_CASE("requests that share a batch are gathered though their memory is lent") {
  ManualDevice device(false);
  Model model(options(4), manual_executors(device, tenfold({{1, 4}, {4, 4}}), 1));
  Client client(model);
  std::vector<uint64_t> tokens;
  for (int i = 0; i < 3; ++i) {
    core::Request request = client.prepare(1, 4);
    tokens.push_back(request.token);
    device.lending().add(memory_of(request));
    model.submit(std::move(request));
    if (i == 0) device.await_launches(1);  // the others find the only slot taken
  }
  device.run_all();
  for (const uint64_t token : tokens) {
    const testing::Answer answer = client.answer(token);
    REQUIRE(answer.status.ok());
    CHECK(answer.values.front() == 10 * static_cast<int32_t>(1000 * token));
  }
  CHECK(borrowed(device) == std::vector<bool>{true, false});
}

TEST_CASE("memory is given back when its batch has ended, not before") {
  ManualDevice device(false);
  Model model(options(4), manual_executors(device, tenfold({{4, 4}})));
  Client client(model);
  core::Request request = client.prepare(4, 4);
  const uint64_t token = request.token;
  const std::span<const std::byte> memory = memory_of(request);
  device.lending().add(memory);
  model.submit(std::move(request));
  device.await_launches(1);
  std::atomic<bool> withdrawn = false;
  std::thread owner([&] {
    device.lending().withdraw(memory.data());
    withdrawn = true;
  });
  while (device.lending().lend(memory)) std::this_thread::yield();
  CHECK_FALSE(withdrawn);
  device.run_one();
  owner.join();
  CHECK(client.answer(token).status.ok());
}

TEST_CASE("memory of a batch that fails is given back") {
  for (const char* const call : {"launch", "wait"}) {
    CAPTURE(std::string(call));
    ManualDevice device;
    device.fail(call, 1, {core::StatusCode::kInternal, "no"});
    Model model(options(4), manual_executors(device, tenfold({{4, 4}})));
    Client client(model);
    core::Request request = client.prepare(4, 4);
    const uint64_t token = request.token;
    const std::span<const std::byte> memory = memory_of(request);
    device.lending().add(memory);
    model.submit(std::move(request));
    CHECK_FALSE(client.answer(token).status.ok());
    device.lending().withdraw(memory.data());
    CHECK(device.lending().lent() == 1);
    // The next one in the slot is not read where the failed one lay.
    const uint64_t next = client.send(4, 4);
    CHECK(client.answer(next).values.front() == 10 * static_cast<int32_t>(1000 * next));
    CHECK_FALSE(device.launched().back().borrowed);
  }
}
