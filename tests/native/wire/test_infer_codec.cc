#include <doctest/doctest.h>

#include <array>
#include <string>
#include <utility>

#include "wire/framing.h"
#include "wire/infer_codec.h"
#include "wire/protobuf_fields.h"

namespace core = npuserve::core;
namespace wire = npuserve::wire;
using core::Dtype;
using core::Shape;
using wire::InferPlan;
using wire::ModelInterface;
using wire::Verdict;
using wire::test::bytes_of;
using wire::test::field;
using wire::test::packed;
using wire::test::text_of;

namespace {

ModelInterface model_of(Dtype dtype, Shape dims, int64_t max_batch_size = 0) {
  ModelInterface model;
  model.name = "m";
  model.version = "3";
  model.max_batch_size = max_batch_size;
  model.inputs.push_back({"x", dtype, dims, dims});
  model.input_positions.push_back(0);
  model.outputs.push_back({"y", dtype, dims, dims});
  return model;
}

std::string tensor(const std::string& dtype, std::initializer_list<uint64_t> shape, const std::string& contents = "") {
  return field(5, field(1, "x") + field(2, dtype) + field(3, packed(shape)) + contents);
}

// Keeps the message as long as the plan.
struct Checked {
  explicit Checked(std::string text, const ModelInterface& model) : message(field(1, "m") + std::move(text)) {
    REQUIRE(wire::parse(bytes_of(message), request));
    plan = wire::check(request, model);
  }

  std::string content() const {
    REQUIRE(plan.verdict == Verdict::kReady);
    return text_of({plan.inputs[0].data, plan.inputs[0].size_bytes});
  }

  std::string message;
  wire::InferRequest request;
  InferPlan plan;
};

std::string refusal(const std::string& text, const ModelInterface& model) {
  const Checked checked(text, model);
  REQUIRE(checked.plan.verdict == Verdict::kRefused);
  CHECK(checked.plan.refusal.code() == core::StatusCode::kInvalidArgument);
  return checked.plan.refusal.message();
}

std::string response_of(const ModelInterface& model, const std::string& id, const std::vector<bool>& wanted,
                        std::span<const core::OutputView> outputs) {
  core::Status status;
  const wire::Buffer framed = wire::encode_response(model, id, wanted, outputs, status);
  REQUIRE(status.ok());
  const std::string text = text_of(framed.bytes());
  const size_t length = text.size() - wire::kPrefixBytes;
  REQUIRE(text.substr(0, wire::kPrefixBytes) == std::string("\0\0\0\0", 4) + static_cast<char>(length));
  return text.substr(wire::kPrefixBytes);
}

}  // namespace

TEST_CASE("raw contents are lent where they lie") {
  const Checked checked(tensor("INT16", {2}) + field(7, "abcd"), model_of(Dtype::kInt16, {-1}));
  CHECK(checked.content() == "abcd");
  CHECK(checked.plan.inputs[0].shape == Shape{2});
  CHECK(checked.plan.converted.empty());
  CHECK(checked.plan.rows == 1);
  CHECK(checked.plan.wanted.empty());
}

TEST_CASE("typed contents become raw bytes") {
  const auto raw = [](const std::string& dtype, Dtype declared, const std::string& contents) {
    return Checked(tensor(dtype, {2}, field(5, contents)), model_of(declared, {-1})).content();
  };
  CHECK(raw("BOOL", Dtype::kBool, field(1, packed({0, 1ULL << 40}))) == std::string("\0\1", 2));
  CHECK(raw("INT8", Dtype::kInt8, field(2, packed({0x161, 0x62}))) == "ab");
  CHECK(raw("UINT16", Dtype::kUint16, field(4, uint64_t{0x16261}) + field(4, packed({0x6463}))) == "abcd");
  CHECK(raw("INT64", Dtype::kInt64, field(3, packed({~uint64_t{0}, 0}))) ==
        std::string(8, '\xff') + std::string(8, '\0'));
  CHECK(raw("FP32", Dtype::kFp32, field(6, "abcdefgh")) == "abcdefgh");
  CHECK(raw("BYTES", Dtype::kBytes, field(8, "ab") + field(8, "")) == std::string("\2\0\0\0ab\0\0\0\0", 10));
}

TEST_CASE("inputs come in the signature's order, in the shapes that the model sees") {
  ModelInterface model = model_of(Dtype::kInt8, {-1, 4}, 8);
  model.inputs[0].model_dims = {2, -1, 2};
  model.inputs.push_back({"a", Dtype::kInt8, {1}, {}});
  model.input_positions = {1, 0};
  const std::string other = field(5, field(1, "a") + field(2, "INT8") + field(3, packed({2, 1})));
  const Checked checked(tensor("INT8", {2, 1, 4}) + other + field(7, "abcdefgh") + field(7, "AB"), model);
  REQUIRE(checked.plan.verdict == Verdict::kReady);
  CHECK(checked.plan.rows == 2);
  CHECK(checked.plan.inputs[0].shape == Shape{2});
  CHECK(checked.plan.inputs[1].shape == Shape{2, 2, 1, 2});
}

TEST_CASE("refusals name the request, the tensor and the model") {
  const ModelInterface model = model_of(Dtype::kFp32, {2}, 4);
  const std::string unknown = "[request id: <id_unknown>] ";
  CHECK(refusal("", model) == unknown +
                                  "expected 1 inputs but got 0 inputs for model 'm'. Got input(s) [], but missing "
                                  "required input(s) ['x']. Please provide all required input(s).");
  CHECK(refusal(field(3, "7") + tensor("FP32", {1, 2}) + field(7, "abc"), model) ==
        "[request id: 7] input byte size mismatch for input 'x' for model 'm'. Expected 8, got 3");
  CHECK(refusal(tensor("FP32", {5, 2}) + field(7, ""), model) ==
        unknown + "inference request batch-size must be <= 4 for 'm'");
  CHECK(refusal(tensor("FP32", {0, 2}) + field(7, "abcdefgh"), model) ==
        unknown + "inference request batch-size must be >= 1 for 'm'");
  CHECK(refusal(tensor("INT8", {1, 2}) + field(7, ""), model) ==
        unknown + "inference input 'x' data-type is 'INT8', but model 'm' expects 'FP32'");
  CHECK(refusal(tensor("FP32", {1, 2}), model) == "unable to find data for input tensor 'x' for model 'm' in request.");
  CHECK(refusal(tensor("FP32", {1, 2}) + field(7, "abcdefgh") + field(6, field(1, "z")), model) ==
        "unexpected inference output 'z' for model 'm'");
}

TEST_CASE("the first mistake in the handlers' order is the one that is named") {
  const ModelInterface model = model_of(Dtype::kFp32, {2});
  const std::string parameter = field(4, field(1, "timeout"));
  const std::string twice = tensor("INT8", {9}) + tensor("INT8", {9});
  CHECK(refusal(twice + parameter, model) == "invalid value type for 'timeout' parameter, expected int64_param.");
  CHECK(refusal(twice, model) == "[request id: <id_unknown>] input 'x' already exists in request");
  CHECK(refusal(tensor("INT8", {9}) + field(6, field(1, "z")), model) ==
        "unable to find data for input tensor 'x' for model 'm' in request.");
}

TEST_CASE("what the handlers alone know is handed on") {
  const ModelInterface model = model_of(Dtype::kFp32, {-1});
  const std::string region = field(4, field(1, "shared_memory_region"));
  CHECK(Checked(tensor("FP32", {1}, region), model).plan.verdict == Verdict::kHandOn);
  const std::string classes = field(6, field(1, "y") + field(2, field(1, "classification")));
  CHECK(Checked(tensor("FP32", {1}) + field(7, "abcd") + classes, model).plan.verdict == Verdict::kHandOn);
  const uint64_t huge = uint64_t{1} << 62;
  const ModelInterface wide = model_of(Dtype::kFp32, {-1, -1, -1});
  CHECK(Checked(tensor("FP32", {huge, huge, huge}) + field(7, ""), wide).plan.verdict == Verdict::kHandOn);
}

TEST_CASE("a response states the model, the id and the wanted outputs in canonical order") {
  ModelInterface model = model_of(Dtype::kInt8, {2}, 8);
  model.outputs.push_back({"z", Dtype::kInt8, {1, 2}, {2}});
  const Shape shape{2, 2};
  const Shape padded{2, 3};
  const std::string rows = "ab-cd-";
  const core::OutputView view(bytes_of(rows).data(), 1, shape, padded);
  const std::array outputs{view, view};
  const std::string head = field(1, "m") + field(2, "3") + field(3, "7");
  const std::string y = field(5, field(1, "y") + field(2, "INT8") + field(3, packed({2, 2})));
  const std::string z = field(5, field(1, "z") + field(2, "INT8") + field(3, packed({2, 1, 2})));
  CHECK(response_of(model, "7", {}, outputs) == head + y + z + field(6, "abcd") + field(6, "abcd"));
  CHECK(response_of(model, "7", {false, true}, outputs) == head + z + field(6, "abcd"));
  CHECK(response_of(model, "", {true, false}, outputs) == field(1, "m") + field(2, "3") + y + field(6, "abcd"));
  model.outputs[1].name.clear();
  CHECK(response_of(model, "7", {}, outputs) == head + y + field(6, "abcd"));
}

TEST_CASE("a response that no message can hold is refused before its bytes are touched") {
  const ModelInterface model = model_of(Dtype::kInt8, {-1});
  const Shape shape{int64_t{1} << 31};
  const core::OutputView view(nullptr, 1, shape, shape);
  core::Status status;
  CHECK(wire::encode_response(model, "", {}, {&view, 1}, status).empty());
  CHECK(status.code() == core::StatusCode::kInvalidArgument);
  CHECK(status.message() == "Response has byte size 2147483648 which exceeds gRPC's byte size limit 2147483647.");
}
