// The executor that copies, by itself and behind a model.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/clock.h"
#include "engine/identity_executor.h"
#include "engine/model.h"

namespace core = npuserve::core;
using npuserve::engine::identity_signature;
using npuserve::engine::IdentityExecutor;
using npuserve::engine::IdentityTensor;

namespace {

const std::vector<IdentityTensor> kPair{{"a", "x", core::Dtype::kInt32, {2}}, {"b", "y", core::Dtype::kUint8, {}}};

std::string refusal(const std::vector<IdentityTensor>& tensors, int64_t max_batch_size) {
  try {
    (void)identity_signature(tensors, max_batch_size);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

std::vector<int64_t> gear_rows(int64_t max_batch_size) {
  std::vector<int64_t> rows;
  for (const core::Gear& gear : identity_signature(kPair, max_batch_size).gears)
    rows.push_back(gear.input_shapes[0][0]);
  return rows;
}

}  // namespace

TEST_CASE("the gears are powers of two up to the largest batch, and that") {
  CHECK(gear_rows(1) == std::vector<int64_t>{1});
  CHECK(gear_rows(2) == std::vector<int64_t>{1, 2});
  CHECK(gear_rows(3) == std::vector<int64_t>{1, 2, 3});
  CHECK(gear_rows(8) == std::vector<int64_t>{1, 2, 4, 8});
  CHECK(gear_rows(100) == std::vector<int64_t>{1, 2, 4, 8, 16, 32, 64, 100});
}

TEST_CASE("outputs have the inputs' types and shapes") {
  const core::Signature batched = identity_signature(kPair, 4);
  CHECK(batched.outputs[0].name == "x");
  CHECK(batched.outputs[1].dtype == core::Dtype::kUint8);
  CHECK(batched.inputs[0].shape == core::Shape{-1, 2});
  CHECK(batched.outputs[1].shape == core::Shape{-1});
  CHECK(batched.gears[2].output_shapes == std::vector<core::Shape>{{4, 2}, {4}});
  const core::Signature single = identity_signature(kPair, 0);
  CHECK(single.inputs[0].shape == core::Shape{2});
  CHECK(single.gears.size() == 1);
}

TEST_CASE("what cannot be copied row by row is refused by name") {
  CHECK(refusal({{"a", "x", core::Dtype::kBytes, {2}}}, 4) == "input 'a': elements of BYTES have no fixed size");
  CHECK(refusal({{"a", "x", core::Dtype::kFp32, {2, -1}}}, 4) == "input 'a': dimensions must be fixed, got [2,-1]");
  CHECK(refusal(kPair, -1) == "max_batch_size must be 0 or more");
}

TEST_CASE("an execution copies its gear's rows of every tensor, and only those") {
  IdentityExecutor executor(identity_signature(kPair, 4), 2, 1);
  const auto& buffers = executor.buffers(1);
  for (const auto& input : buffers.inputs) std::memset(input.data(), 7, input.size());
  REQUIRE(executor.launch(1, 1).ok());  // two rows
  REQUIRE(executor.wait(1).ok());
  CHECK(buffers.outputs[0][2 * 8 - 1] == std::byte{7});
  CHECK(buffers.outputs[0][2 * 8] == std::byte{0});
  CHECK(buffers.outputs[1][1] == std::byte{7});
  CHECK(buffers.outputs[1][2] == std::byte{0});
  CHECK(executor.buffers(0).outputs[0][0] == std::byte{0});
}

TEST_CASE("executions take their time one after another, and launching takes none of it") {
  constexpr int64_t kDelayNs = 20'000'000;
  IdentityExecutor executor(identity_signature(kPair, 1), 2, kDelayNs);
  const int64_t start_ns = core::steady_now_ns();
  REQUIRE(executor.launch(0, 0).ok());
  REQUIRE(executor.launch(1, 0).ok());
  REQUIRE(executor.wait(0).ok());
  CHECK(core::steady_now_ns() - start_ns >= kDelayNs);
  REQUIRE(executor.wait(1).ok());
  CHECK(core::steady_now_ns() - start_ns >= 2 * kDelayNs);
  REQUIRE(executor.launch(0, 0).ok());
  REQUIRE(executor.settle().ok());
  CHECK(core::steady_now_ns() - start_ns >= 3 * kDelayNs);
}

namespace {

struct Delivered {
  std::array<std::byte, 8> first{};
  size_t second_bytes = 0;
  core::Timing timing;
  std::atomic<bool> is_complete = false;
};

class Look final : public core::Completion {
 public:
  explicit Look(Delivered& delivered) : delivered_(delivered) {}

  core::Status receive(std::span<const core::OutputView> outputs) noexcept override {
    outputs[0].copy_to(delivered_.first.data());
    delivered_.second_bytes = outputs[1].size_bytes();
    return {};
  }

  void complete(core::Status /*status*/, const core::Timing& timing) noexcept override {
    delivered_.timing = timing;
    delivered_.is_complete = true;
    delivered_.is_complete.notify_all();
  }

 private:
  Delivered& delivered_;
};

}  // namespace

TEST_CASE("an execution that takes no time hands every request its own inputs") {
  std::vector<std::unique_ptr<npuserve::engine::Executor>> executors;
  executors.push_back(std::make_unique<IdentityExecutor>(identity_signature(kPair, 4), 2, 0));
  CHECK(executors[0]->buffers(0).inputs.empty());  // no memory of its own that anything could be copied to
  npuserve::engine::ModelOptions options;
  options.scheduling.batching.max_batch_size = 4;
  options.variable_output_axes = {{}, {}};
  npuserve::engine::Model model(options, std::move(executors));
  const std::vector<std::byte> content(9, std::byte{3});
  Delivered delivered;
  core::Request request;
  request.inputs = {{content.data(), 8, {1, 2}}, {content.data() + 8, 1, {1}}};
  request.completion = std::make_unique<Look>(delivered);
  model.submit(std::move(request));
  delivered.is_complete.wait(false);
  CHECK(std::memcmp(delivered.first.data(), content.data(), 8) == 0);
  CHECK(delivered.second_bytes == 1);
  CHECK(delivered.timing.batch_id == 1);
  CHECK(delivered.timing.batch_rows == 1);
  CHECK(model.statistics().inference_count == 1);
  CHECK(model.statistics().batches.at(1).compute_output.count == 1);
}
