#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/ort_executor.h"
#include "onnx_library.h"
#include "ort/session.h"

namespace core = npuserve::core;
namespace engine = npuserve::engine;
namespace ort = npuserve::ort;

namespace {

constexpr int64_t kBudgetNs = 1'000'000;

core::Signature add_mul_signature(const std::vector<int64_t>& rows) {
  const core::Shape row{-1, 4};
  core::Signature signature{
      .inputs = {{"a", core::Dtype::kFp32, row}, {"b", core::Dtype::kFp32, row}},
      .outputs = {{"total", core::Dtype::kFp32, row}, {"product", core::Dtype::kFp32, row}},
      .gears = {},
  };
  for (const int64_t count : rows) signature.gears.push_back({{{count, 4}, {count, 4}}, {{count, 4}, {count, 4}}});
  return signature;
}

std::shared_ptr<const ort::Session> add_mul_session() {
  return std::make_shared<const ort::Session>(
      onnx_test::open_runtime(), onnx_test::model("add_mul"), ort::SessionOptions{.intra_op_threads = 1},
      std::vector<std::string>{"a", "b"}, std::vector<std::string>{"total", "product"});
}

void fill(std::span<std::byte> memory, float value) {
  for (size_t at = 0; at < memory.size(); at += sizeof(value)) std::memcpy(memory.data() + at, &value, sizeof(value));
}

std::vector<float> floats(std::span<const std::byte> memory, size_t count) {
  std::vector<float> values(count);
  std::memcpy(values.data(), memory.data(), count * sizeof(float));
  return values;
}

}  // namespace

TEST_CASE("each gear runs over the start of the slot's memory" * onnx_test::needs_library()) {
  engine::OrtExecutor executor(add_mul_session(), add_mul_signature({1, 2, 3}), 2);
  CHECK(executor.is_synchronous());
  CHECK(executor.slot_count() == 2);
  for (const size_t slot : {0U, 1U}) {
    const engine::SlotBuffers& buffers = executor.buffers(slot);
    REQUIRE(buffers.inputs[0].size() == 48);  // of three rows
    fill(buffers.inputs[0], 2);
    fill(buffers.inputs[1], 3);
    for (const size_t gear : {2U, 0U, 1U}) {
      CHECK(executor.launch(slot, gear).ok());
      CHECK(executor.wait(slot).ok());
      const size_t elements = (gear + 1) * 4;
      CHECK(floats(buffers.outputs[0], elements) == std::vector<float>(elements, 5));
      CHECK(floats(buffers.outputs[1], elements) == std::vector<float>(elements, 6));
    }
  }
}

TEST_CASE("every gear has a cost once it was measured, and an instance beside it takes that over" *
          onnx_test::needs_library()) {
  const auto session = add_mul_session();
  engine::OrtExecutor measured(session, add_mul_signature({1, 2, 3, 4, 5}), 1);
  CHECK(measured.costs_ns().empty());
  measured.measure_costs(kBudgetNs);
  REQUIRE(measured.costs_ns().size() == 5);
  for (const int64_t cost_ns : measured.costs_ns()) CHECK(cost_ns > 0);
  engine::OrtExecutor beside(session, add_mul_signature({1, 2, 3, 4, 5}), 1);
  beside.warm_up(measured.costs_ns());
  CHECK(beside.costs_ns() == measured.costs_ns());
}

TEST_CASE("a run that fails is INTERNAL with ONNX Runtime's words, and the next one is right" *
          onnx_test::needs_library()) {
  core::Signature signature = add_mul_signature({1, 2});
  signature.gears[1].output_shapes[0] = {3, 4};  // which the model does not give
  engine::OrtExecutor executor(add_mul_session(), signature, 1);
  const core::Status failed = executor.launch(0, 1);
  CHECK(failed.code() == core::StatusCode::kInternal);
  CHECK(failed.message().starts_with("onnx runtime error "));
  CHECK(executor.launch(0, 0).ok());
}

TEST_CASE("a model whose measurement fails has no costs" * onnx_test::needs_library()) {
  core::Signature signature = add_mul_signature({1});
  signature.gears[0].output_shapes[0] = {3, 4};
  engine::OrtExecutor executor(add_mul_session(), signature, 1);
  executor.measure_costs(kBudgetNs);
  CHECK(executor.costs_ns().empty());
}
