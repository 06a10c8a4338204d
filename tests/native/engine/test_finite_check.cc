// Answers with NaN or infinity in them become failures where a model asks for it.
#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "answers.h"
#include "engine/finite_check.h"
#include "engine/model.h"
#include "manual_executor.h"

namespace core = npuserve::core;
using npuserve::engine::FiniteCheck;
using npuserve::engine::is_finite;
using npuserve::engine::Model;
using npuserve::engine::ModelOptions;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What reached the sender.
struct Seen {
  int received = 0;
  int completed = 0;
};

class Sender final : public core::Completion {
 public:
  explicit Sender(Seen& seen) : seen_(seen) {}

  core::Status receive(std::span<const core::OutputView> /*outputs*/) noexcept override {
    ++seen_.received;
    return {};
  }

  void complete(core::Status /*status*/, const core::Timing& /*timing*/) noexcept override { ++seen_.completed; }

 private:
  Seen& seen_;
};

core::Signature scores() {
  core::Signature signature;
  signature.outputs = {{"scores", core::Dtype::kFp32, {-1, 2}}, {"pooled", core::Dtype::kFp32, {-1, 2}}};
  return signature;
}

core::OutputView view(const std::vector<float>& values, const core::Shape& shape) {
  return {reinterpret_cast<const std::byte*>(values.data()), sizeof(float), shape, shape};
}

template <typename Bits>
bool one_is_finite(Bits bits, core::Dtype dtype) {
  const core::Shape shape{1};
  return is_finite({reinterpret_cast<const std::byte*>(&bits), sizeof(Bits), shape, shape}, dtype);
}

}  // namespace

TEST_CASE("numbers of every type are told from NaN and infinity") {
  CHECK(one_is_finite<uint16_t>(0x7bff, core::Dtype::kFp16));
  CHECK_FALSE(one_is_finite<uint16_t>(0x7c00, core::Dtype::kFp16));
  CHECK_FALSE(one_is_finite<uint16_t>(0xfe00, core::Dtype::kFp16));
  CHECK(one_is_finite<uint16_t>(0x7f7f, core::Dtype::kBf16));
  CHECK_FALSE(one_is_finite<uint16_t>(0x7f80, core::Dtype::kBf16));
  CHECK(one_is_finite(std::numeric_limits<float>::max(), core::Dtype::kFp32));
  CHECK_FALSE(one_is_finite(-kInfinity, core::Dtype::kFp32));
  CHECK_FALSE(one_is_finite(kNan, core::Dtype::kFp32));
  CHECK(one_is_finite(std::numeric_limits<double>::max(), core::Dtype::kFp64));
  CHECK_FALSE(one_is_finite(std::numeric_limits<double>::infinity(), core::Dtype::kFp64));
}

TEST_CASE("types without infinity are not looked at") {
  CHECK(one_is_finite<uint32_t>(0x7f800000, core::Dtype::kInt32));
  CHECK(one_is_finite<uint16_t>(0x7c00, core::Dtype::kUint16));
}

TEST_CASE("only a request's own rows and lengths count") {
  const std::vector<float> values{1, 2, kNan, 3, 4, kInfinity};
  const core::Shape own{2, 2};
  const core::Shape padded{2, 3};
  const auto* const data = reinterpret_cast<const std::byte*>(values.data());
  CHECK(is_finite({data, sizeof(float), own, padded}, core::Dtype::kFp32));
  CHECK_FALSE(is_finite({data, sizeof(float), padded, padded}, core::Dtype::kFp32));
  SUBCASE("and what was cut as padding does not") {
    CHECK(is_finite({data, sizeof(float), padded, padded, own}, core::Dtype::kFp32));
  }
}

TEST_CASE("finite outputs reach the sender, and so does the end") {
  const core::Signature signature = scores();
  FiniteCheck check("m", signature, true);
  Seen seen;
  const auto guarded = check.wrap(std::make_unique<Sender>(seen));
  const core::Shape shape{1, 2};
  const std::vector<float> first{1, 2};
  const std::vector<float> second{3, 4};
  const std::vector<core::OutputView> outputs{view(first, shape), view(second, shape)};
  CHECK(guarded->receive(outputs).ok());
  guarded->complete({}, {});
  CHECK(seen.received == 1);
  CHECK(seen.completed == 1);
  CHECK(check.nonfinite_rows() == 0);
}

TEST_CASE("the error names model, output and row, and each row is counted once") {
  const core::Signature signature = scores();
  FiniteCheck check("m", signature, true);
  Seen seen;
  const auto guarded = check.wrap(std::make_unique<Sender>(seen));
  const core::Shape shape{3, 2};
  const std::vector<float> first{1, 2, 3, kNan, 5, 6};
  const std::vector<float> second{1, 2, kInfinity, 4, 5, kNan};
  const std::vector<core::OutputView> outputs{view(first, shape), view(second, shape)};
  const core::Status status = guarded->receive(outputs);
  CHECK(status.code() == core::StatusCode::kInternal);
  CHECK(status.message() == "model 'm' computed NaN or infinity: output 'scores' in row 1 of the request");
  CHECK(seen.received == 0);
  CHECK(check.nonfinite_rows() == 2);
}

TEST_CASE("a model without rows has none to name") {
  const core::Signature signature = scores();
  FiniteCheck check("m", signature, false);
  Seen seen;
  const auto guarded = check.wrap(std::make_unique<Sender>(seen));
  const core::Shape shape{2};
  const std::vector<float> values{1, kNan};
  const std::vector<core::OutputView> outputs{view(values, shape), view(values, shape)};
  CHECK(guarded->receive(outputs).message() == "model 'm' computed NaN or infinity: output 'scores' of the request");
  CHECK(check.nonfinite_rows() == 1);
}

namespace {

// Ids and their tenfold, whose bits are taken for those of float.
core::Signature floating() {
  core::Signature signature = testing::tenfold({{4, 4}});
  signature.outputs[0].dtype = core::Dtype::kFp32;
  return signature;
}

std::unique_ptr<Model> make_model(testing::ManualDevice& device, bool check_finite) {
  ModelOptions options;
  options.name = "m";
  options.scheduling.batching = {.max_batch_size = 4, .dynamic_batching = true};
  options.variable_output_axes = {{1}};
  options.check_finite = check_finite;
  return std::make_unique<Model>(std::move(options), testing::manual_executors(device, floating()));
}

// Has the device answer the bits of infinity in its second row.
core::Request infinite_request(testing::Client& client, const std::vector<int32_t>& ids) {
  core::Request request = client.prepare(2, 2);
  request.inputs = {{reinterpret_cast<const std::byte*>(ids.data()), ids.size() * sizeof(int32_t), core::Shape{2, 2}}};
  return request;
}

constexpr int32_t kInfinityBits = 0x7f800000;
const std::vector<int32_t> kTenthOfInfinity{1, 2, 3, kInfinityBits / 10};

}  // namespace

TEST_CASE("a model fails the request alone whose answer is not finite, and counts its rows") {
  static_assert(kInfinityBits % 10 == 0);
  testing::ManualDevice device;
  const auto model = make_model(device, true);
  testing::Client client(*model);
  core::Request request = infinite_request(client, kTenthOfInfinity);
  const uint64_t token = request.token;
  model->submit(std::move(request));
  const testing::Answer answer = client.answer(token);
  CHECK(answer.status.code() == core::StatusCode::kInternal);
  CHECK(answer.status.message() == "model 'm' computed NaN or infinity: output 'tenfold' in row 1 of the request");
  CHECK(answer.deliveries == 0);
  CHECK(client.is_right(client.send(1, 2)));
  CHECK(model->statistics().nonfinite_rows == 1);
  CHECK(client.all_answered_once());
}

TEST_CASE("a model that does not ask for it answers what it computed") {
  testing::ManualDevice device;
  const auto model = make_model(device, false);
  testing::Client client(*model);
  core::Request request = infinite_request(client, kTenthOfInfinity);
  const uint64_t token = request.token;
  model->submit(std::move(request));
  CHECK(client.answer(token).status.ok());
  CHECK(model->statistics().nonfinite_rows == 0);
}
