#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "onnx_library.h"
#include "ort/errors.h"
#include "ort/session.h"
#include "ort/tensor.h"

namespace core = npuserve::core;
namespace ort = npuserve::ort;

namespace {

ort::Session add_mul(const ort::SessionOptions& options = {}) {
  return {onnx_test::open_runtime(), onnx_test::model("add_mul"), options, {"a", "b"}, {"total", "product"}};
}

// Rows of four floats, and a tensor over them.
struct Rows {
  Rows(const ort::Session& session, int64_t count, float value)
      : values(static_cast<size_t>(count) * 4, value),
        tensor(session.runtime(), core::Dtype::kFp32, core::Shape{count, 4},
               std::as_writable_bytes(std::span(values))) {}

  std::vector<float> values;
  ort::Tensor tensor;
};

// What a run of two rows of 2 and 3 answers.
std::array<float, 2> answers(const ort::Session& session) {
  const Rows a(session, 2, 2);
  const Rows b(session, 2, 3);
  Rows total(session, 2, 0);
  Rows product(session, 2, 0);
  const std::array<const ort::OrtValue*, 2> inputs{a.tensor.get(), b.tensor.get()};
  std::array<ort::OrtValue*, 2> outputs{total.tensor.get(), product.tensor.get()};
  session.run(inputs, outputs);
  return {total.values.back(), product.values.back()};
}

// The code of the Error that `body` throws; 0 if it throws none.
template <class Body>
int code_of(Body body) {
  try {
    body();
  } catch (const ort::Error& error) {
    return error.code();
  }
  return 0;
}

constexpr int kInvalidArgument = 2;  // OrtErrorCode
constexpr int kNoSuchFile = 3;

}  // namespace

TEST_CASE("a session runs into the memory of the caller" * onnx_test::needs_library()) {
  CHECK(answers(add_mul()) == std::array<float, 2>{5, 6});
}

TEST_CASE("every option is taken" * onnx_test::needs_library()) {
  const ort::SessionOptions options{.graph_optimization_level = 0,
                                    .execution_mode = 1,
                                    .intra_op_threads = 1,
                                    .inter_op_threads = 1,
                                    .memory_arena = false,
                                    .memory_pattern = false,
                                    .entries = {{"session.intra_op.allow_spinning", "0"}}};
  CHECK(answers(add_mul(options)) == std::array<float, 2>{5, 6});
}

TEST_CASE("an option that is none fails with the library's code" * onnx_test::needs_library()) {
  CHECK(code_of([] { (void)add_mul({.graph_optimization_level = 7}); }) == kInvalidArgument);
  CHECK(code_of([] { (void)add_mul({.entries = {{"", "1"}}}); }) == kInvalidArgument);
}

TEST_CASE("a file that is not there fails with the library's code and words" * onnx_test::needs_library()) {
  const auto open = [] {
    return ort::Session(onnx_test::open_runtime(), onnx_test::model("absent"), {}, {"a"}, {"total"});
  };
  CHECK(code_of([&] { (void)open(); }) == kNoSuchFile);
  CHECK_THROWS_WITH_AS((void)open(), doctest::Contains("onnx runtime error 3: "), ort::Error);
}

TEST_CASE("the shapes of the outputs follow those of the inputs" * onnx_test::needs_library()) {
  const ort::Session session = add_mul();
  for (const int64_t rows : {1, 3, 7}) {
    const Rows a(session, rows, 1);
    const Rows b(session, rows, 1);
    const std::array<const ort::OrtValue*, 2> inputs{a.tensor.get(), b.tensor.get()};
    CHECK(session.output_shapes(inputs) == std::vector<core::Shape>{{rows, 4}, {rows, 4}});
  }
}

TEST_CASE("an output of another shape than its memory's fails, and the next run is right" *
          onnx_test::needs_library()) {
  const ort::Session session = add_mul();
  const Rows a(session, 2, 2);
  const Rows b(session, 2, 3);
  Rows total(session, 1, 0);
  Rows product(session, 2, 0);
  const std::array<const ort::OrtValue*, 2> inputs{a.tensor.get(), b.tensor.get()};
  std::array<ort::OrtValue*, 2> outputs{total.tensor.get(), product.tensor.get()};
  CHECK(code_of([&] { session.run(inputs, outputs); }) != 0);
  CHECK(answers(session) == std::array<float, 2>{5, 6});
}

TEST_CASE("a name that the model does not know fails when it runs" * onnx_test::needs_library()) {
  const ort::Session session(onnx_test::open_runtime(), onnx_test::model("add_mul"), {}, {"a", "c"}, {"total"});
  const Rows a(session, 1, 1);
  const std::array<const ort::OrtValue*, 2> inputs{a.tensor.get(), a.tensor.get()};
  CHECK(code_of([&] { (void)session.output_shapes(inputs); }) == kInvalidArgument);
}

TEST_CASE("memory that is smaller than the shape is refused" * onnx_test::needs_library()) {
  const auto runtime = onnx_test::open_runtime();
  std::array<std::byte, 8> memory{};
  const auto make = [&] { const ort::Tensor made(runtime, core::Dtype::kFp32, core::Shape{3}, memory); };
  CHECK(code_of(make) != 0);
}

TEST_CASE("text has no tensor" * onnx_test::needs_library()) {
  const auto runtime = onnx_test::open_runtime();
  std::array<std::byte, 8> memory{};
  CHECK_THROWS_AS(ort::Tensor(runtime, core::Dtype::kBytes, core::Shape{1}, memory), std::invalid_argument);
}

TEST_CASE("runs of one session side by side do not disturb each other" * onnx_test::needs_library()) {
  const ort::Session session = add_mul({.intra_op_threads = 1});
  std::vector<std::thread> threads;
  std::array<bool, 4> right{};
  for (bool& each : right) {
    threads.emplace_back([&] {
      each = true;
      for (int i = 0; i < 50; ++i) each = each && answers(session) == std::array<float, 2>{5, 6};
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == std::array<bool, 4>{true, true, true, true});
}
