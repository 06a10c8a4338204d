// Requests of different lengths in one batch: what runs, and that nobody can tell.
#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "answers.h"
#include "engine/model.h"
#include "manual_executor.h"

namespace core = npuserve::core;
using npuserve::engine::GearCounters;
using npuserve::engine::Model;
using npuserve::engine::ModelOptions;
using testing::Client;
using testing::manual_executors;
using testing::ManualDevice;
using testing::tenfold;

namespace {

ModelOptions options(int64_t max_batch_size) {
  ModelOptions made;
  made.scheduling.batching = {.max_batch_size = max_batch_size, .dynamic_batching = true};
  made.scheduling.buckets = true;
  made.variable_output_axes = {{1}};
  return made;
}

// The device runs the first request; the others, which come meanwhile, wait for it.
std::vector<uint64_t> send_behind_one(Client& client, ManualDevice& device, const std::vector<int64_t>& lengths) {
  client.send(1, 1);
  device.await_launches(1);
  std::vector<uint64_t> tokens;
  for (const int64_t length : lengths) tokens.push_back(client.send(1, length));
  return tokens;
}

}  // namespace

TEST_CASE("requests of different lengths share a batch, and each gets its own length back") {
  ManualDevice device(false);
  Model model(options(4), manual_executors(device, tenfold({{1, 4}, {4, 4}, {4, 16}}), 1));
  Client client(model);
  const std::vector<uint64_t> tokens = send_behind_one(client, device, {4, 2, 3, 1});
  device.run_all();
  for (const uint64_t token : tokens) CHECK(client.is_right(token));
  CHECK(client.answer(tokens[1]).shape == core::Shape{1, 2});
  const std::vector<testing::Launched> launched = device.launched();
  REQUIRE(launched.size() == 2);
  CHECK(launched[1].gear == 1);
}

TEST_CASE("short and long ones run in the gears that waste least, wherever they stand in the queue") {
  ManualDevice device(false);
  Model model(options(2), manual_executors(device, tenfold({{1, 4}, {2, 4}, {2, 64}}), 1));
  Client client(model);
  const std::vector<uint64_t> tokens = send_behind_one(client, device, {4, 64, 3, 60});
  device.run_all();
  for (const uint64_t token : tokens) CHECK(client.is_right(token));
  CHECK(device.launched().size() == 3);
}

TEST_CASE("an answer is bit by bit what the request alone gets from the same gear") {
  const auto answers = [](bool together) {
    ManualDevice device(!together);
    Model model(options(4), manual_executors(device, tenfold({{4, 8}}), 1));
    Client client(model);
    std::vector<testing::Answer> got;
    if (together) {
      const std::vector<uint64_t> tokens = send_behind_one(client, device, {8, 5, 1, 7});
      device.run_all();
      for (const uint64_t token : tokens) got.push_back(client.answer(token));
    } else {
      client.answer(client.send(1, 1));
      for (const int64_t length : {8, 5, 1, 7}) got.push_back(client.answer(client.send(1, length)));
    }
    CHECK(device.launched().size() == (together ? 2 : 5));
    return got;
  };
  const std::vector<testing::Answer> shared = answers(true);
  const std::vector<testing::Answer> alone = answers(false);
  for (size_t i = 0; i < shared.size(); ++i) {
    CHECK(shared[i].values == alone[i].values);
    CHECK(shared[i].shape == alone[i].shape);
  }
}

TEST_CASE("every token that the device ran is accounted for, by its gear") {
  ManualDevice device(false);
  Model model(options(4), manual_executors(device, tenfold({{1, 4}, {4, 8}}), 1));
  Client client(model);
  const std::vector<uint64_t> tokens = send_behind_one(client, device, {8, 5, 7});
  device.run_all();
  CHECK(client.all_answered_once());
  const std::vector<GearCounters> gears = model.statistics().gears;
  REQUIRE(gears.size() == 2);
  CHECK(model.label_of_gear(0) == "1x4");
  CHECK(model.label_of_gear(1) == "4x8");
  CHECK(gears[0].executions == 1);
  CHECK(gears[0].useful == 1);
  CHECK(gears[0].padding == 3);
  CHECK(gears[1].executions == 1);
  CHECK(gears[1].useful == 8 + 5 + 7);
  CHECK(gears[1].padding == 0 + 3 + 1);
  CHECK(gears[1].empty == 8);
}

TEST_CASE("a length that no gear holds is refused with buckets too") {
  ManualDevice device;
  Model model(options(4), manual_executors(device, tenfold({{4, 4}, {1, 8}})));
  Client client(model);
  CHECK(client.answer(client.send(1, 9)).status.code() == core::StatusCode::kInvalidArgument);
  CHECK(client.answer(client.send(2, 8)).status.code() == core::StatusCode::kInvalidArgument);
  CHECK(client.is_right(client.send(1, 8)));
  CHECK(client.is_right(client.send(4, 4)));
}
