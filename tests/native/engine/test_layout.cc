// Where requests' elements lie in a slot, and which of the outputs come back.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/layout.h"

namespace core = npuserve::core;
using npuserve::engine::Layout;
using npuserve::engine::PaddingOptions;

namespace {

// Token ids and their mask, an output for each position and one for each row; gears of two rows.
core::Signature tokens(const std::vector<int64_t>& lengths) {
  core::Signature signature;
  signature.inputs = {{"ids", core::Dtype::kInt32, {-1, -1}}, {"mask", core::Dtype::kInt64, {-1, -1}}};
  signature.outputs = {{"each", core::Dtype::kInt32, {-1, -1, 2}}, {"pooled", core::Dtype::kInt32, {-1, 3}}};
  for (const int64_t length : lengths) {
    signature.gears.push_back({{{2, length}, {2, length}}, {{2, length, 2}, {2, 3}}});
  }
  return signature;
}

Layout layout(const PaddingOptions& padding, const std::vector<int64_t>& lengths = {4}) {
  return Layout(tokens(lengths), 2, {{1}, {}}, padding);
}

// Keeps the outputs.
class Reply final : public core::Completion {
 public:
  explicit Reply(std::vector<std::pair<core::Shape, std::vector<int32_t>>>& outputs) : outputs_(outputs) {}
  core::Status receive(std::span<const core::OutputView> outputs) noexcept override {
    for (const core::OutputView& output : outputs) {
      auto& [shape, values] = outputs_.emplace_back();
      shape.assign(output.shape().begin(), output.shape().end());
      values.assign(output.size_bytes() / sizeof(int32_t), -1);
      output.copy_to(reinterpret_cast<std::byte*>(values.data()));
    }
    return {};
  }
  void complete(core::Status /*status*/, const core::Timing& /*timing*/) noexcept override {}

 private:
  std::vector<std::pair<core::Shape, std::vector<int32_t>>>& outputs_;
};

// A request of one row, with the memory that it refers to.
struct Sent {
  Sent(std::vector<int32_t> given_ids, std::vector<int64_t> given_mask)
      : ids(std::move(given_ids)), mask(std::move(given_mask)) {
    const auto length = static_cast<int64_t>(ids.size());
    request.inputs = {{reinterpret_cast<const std::byte*>(ids.data()), ids.size() * sizeof(int32_t), {1, length}},
                      {reinterpret_cast<const std::byte*>(mask.data()), mask.size() * sizeof(int64_t), {1, length}}};
    request.completion = std::make_unique<Reply>(outputs);
  }

  std::vector<int32_t> ids;
  std::vector<int64_t> mask;
  std::vector<std::pair<core::Shape, std::vector<int32_t>>> outputs;
  core::Request request;
};

std::vector<core::Request> together(Sent& first, Sent& second) {
  std::vector<core::Request> requests;
  requests.push_back(std::move(first.request));
  requests.push_back(std::move(second.request));
  return requests;
}

template <typename T>
std::vector<T> gathered(const Layout& layout, size_t input, const std::vector<core::Request>& requests, size_t gear,
                        size_t elements) {
  std::vector<T> slot(elements, -1);
  layout.gather(input, requests, gear, reinterpret_cast<std::byte*>(slot.data()));
  return slot;
}

std::string refusal(const PaddingOptions& padding) {
  try {
    (void)layout(padding);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("rows of different lengths lie one below the other, each filled up with its input's padding") {
  const Layout made = layout({.mask_input = "mask", .values = {{"ids", 9}}});
  Sent longer({1, 2, 3}, {1, 1, 1});
  Sent shorter({5}, {1});
  const std::vector<core::Request> requests = together(longer, shorter);
  CHECK(gathered<int32_t>(made, 0, requests, 0, 8) == std::vector<int32_t>{1, 2, 3, 9, 5, 9, 9, 9});
  CHECK(gathered<int64_t>(made, 1, requests, 0, 8) == std::vector<int64_t>{1, 1, 1, 0, 1, 0, 0, 0});
}

TEST_CASE("rows that are no request's are padding too") {
  const Layout made = layout({.mask_input = "mask", .values = {{"ids", 9}}});
  Sent sent({1, 2, 3, 4}, {1, 1, 1, 1});
  std::vector<core::Request> requests;
  requests.push_back(std::move(sent.request));
  CHECK(gathered<int32_t>(made, 0, requests, 0, 8) == std::vector<int32_t>{1, 2, 3, 4, 9, 9, 9, 9});
  CHECK(gathered<int64_t>(made, 1, requests, 0, 8) == std::vector<int64_t>{1, 1, 1, 1, 0, 0, 0, 0});
}

TEST_CASE("each request gets its own length of what follows the length, and all of what does not") {
  const Layout made = layout({});
  Sent longer({1, 2, 3}, {1, 1, 1});
  Sent shorter({5}, {1});
  const std::vector<core::Request> requests = together(longer, shorter);
  std::vector<int32_t> each{10, 11, 20, 21, 30, 31, -1, -1, 50, 51, -1, -1, -1, -1, -1, -1};
  std::vector<int32_t> pooled{1, 2, 3, 4, 5, 6};
  npuserve::engine::SlotBuffers buffers;
  buffers.outputs = {std::as_bytes(std::span(each)), std::as_bytes(std::span(pooled))};
  REQUIRE(made.deliver(requests[0], 0, 0, buffers).ok());
  REQUIRE(made.deliver(requests[1], 1, 0, buffers).ok());
  CHECK(longer.outputs[0] == std::pair(core::Shape{1, 3, 2}, std::vector<int32_t>{10, 11, 20, 21, 30, 31}));
  CHECK(longer.outputs[1] == std::pair(core::Shape{1, 3}, std::vector<int32_t>{1, 2, 3}));
  CHECK(shorter.outputs[0] == std::pair(core::Shape{1, 1, 2}, std::vector<int32_t>{50, 51}));
  CHECK(shorter.outputs[1] == std::pair(core::Shape{1, 3}, std::vector<int32_t>{4, 5, 6}));
}

TEST_CASE("padding that the sender added is cut, and its outputs are zeros of the length that was sent") {
  const Layout made = layout({.mask_input = "mask", .values = {{"ids", 9}}, .detect = true}, {2, 4});
  Sent sent({1, 2, 7, 7, 7, 7}, {1, 1, 0, 0, 0, 0});  // longer than any gear
  made.cut_padding(sent.request);
  CHECK(sent.request.inputs[0].shape == core::Shape{1, 2});
  CHECK(made.length_of(sent.request) == 2);
  CHECK(made.variable_sizes(sent.request.inputs) == std::vector<int64_t>{2, 2});
  std::vector<core::Request> requests;
  requests.push_back(std::move(sent.request));
  CHECK(gathered<int32_t>(made, 0, requests, 1, 8) == std::vector<int32_t>{1, 2, 9, 9, 9, 9, 9, 9});
  std::vector<int32_t> each{10, 11, 20, 21, 30, 31, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  std::vector<int32_t> pooled{1, 2, 3, 4, 5, 6};
  npuserve::engine::SlotBuffers buffers;
  buffers.outputs = {std::as_bytes(std::span(each)), std::as_bytes(std::span(pooled))};
  REQUIRE(made.deliver(requests[0], 0, 1, buffers).ok());
  CHECK(sent.outputs[0] ==
        std::pair(core::Shape{1, 6, 2}, std::vector<int32_t>{10, 11, 20, 21, 0, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(sent.outputs[1] == std::pair(core::Shape{1, 3}, std::vector<int32_t>{1, 2, 3}));
}

TEST_CASE("rows of one request end together: where the longest does") {
  const Layout made = layout({.mask_input = "mask", .detect = true});
  const std::vector<int32_t> ids{1, 2, 0, 0, 3, 4, 5, 0};
  const std::vector<int64_t> mask{1, 1, 0, 0, 1, 1, 1, 0};
  std::vector<core::Request> requests(1);
  requests[0].rows = 2;
  requests[0].inputs = {{reinterpret_cast<const std::byte*>(ids.data()), 32, {2, 4}},
                        {reinterpret_cast<const std::byte*>(mask.data()), 64, {2, 4}}};
  made.cut_padding(requests[0]);
  CHECK(requests[0].inputs[1].shape == core::Shape{2, 3});
  CHECK(gathered<int32_t>(made, 0, requests, 0, 8) == std::vector<int32_t>{1, 2, 0, 0, 3, 4, 5, 0});
  CHECK_FALSE(made.fills(0, requests[0], 0));
}

// An input of pairs of positions beside the mask: all gears are square, this request is not.
TEST_CASE("a request of more than one length is not cut") {
  core::Signature signature;
  signature.inputs = {{"pairs", core::Dtype::kInt32, {-1, -1, -1}}, {"mask", core::Dtype::kInt64, {-1, -1}}};
  signature.outputs = {{"each", core::Dtype::kInt32, {-1, -1}}};
  signature.gears = {{{{1, 4, 4}, {1, 4}}, {{1, 4}}}};
  const Layout made(signature, 1, {{1}}, {.mask_input = "mask", .values = {}, .detect = true});
  const std::vector<int32_t> pairs{1, 2, 3};
  const std::vector<int64_t> mask{1, 1, 0};
  std::vector<core::Request> requests(1);
  requests[0].inputs = {{reinterpret_cast<const std::byte*>(pairs.data()), 12, {1, 3, 1}},
                        {reinterpret_cast<const std::byte*>(mask.data()), 24, {1, 3}}};
  made.cut_padding(requests[0]);
  CHECK(requests[0].sent_length == 0);
  CHECK(requests[0].inputs[0].shape == core::Shape{1, 3, 1});
  CHECK(gathered<int32_t>(made, 0, requests, 0, 16) ==
        std::vector<int32_t>{1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("a request without padding is left as it is, and so are all if nobody asked") {
  const Layout made = layout({.mask_input = "mask", .detect = true});
  Sent full({1, 2, 3, 4}, {0, 0, 0, 1});
  made.cut_padding(full.request);
  CHECK(full.request.sent_length == 0);
  CHECK(full.request.inputs[0].shape == core::Shape{1, 4});
  Sent padded({1, 2, 3, 4}, {1, 0, 0, 0});
  layout({.mask_input = "mask"}).cut_padding(padded.request);
  CHECK(padded.request.inputs[0].shape == core::Shape{1, 4});
}

TEST_CASE("gears are named by their rows and lengths, a length that two inputs share once") {
  const Layout made = layout({}, {8, 128});
  CHECK(made.label_of(0) == "2x8");
  CHECK(made.label_of(1) == "2x128");
  CHECK(made.length_of(size_t{1}) == 128);
  core::Signature plain;
  plain.inputs = {{"x", core::Dtype::kFp32, {-1, 3}}};
  plain.gears = {{{{4, 3}}, {}}};
  CHECK(Layout(plain, 4, {}).label_of(0) == "4");
  CHECK(Layout(plain, 4, {}).length_of(size_t{0}) == 1);
}

TEST_CASE("padding that contradicts the model is refused") {
  CHECK(refusal({.mask_input = "msk"}) == "the model has no input 'msk'");
  CHECK(refusal({.mask_input = "", .values = {{"segments", 1}}}) == "the model has no input 'segments'");
  CHECK(refusal({.mask_input = "mask", .values = {{"mask", 1}}}) == "the padding of the mask 'mask' must be 0");
  CHECK(refusal({.mask_input = "", .values = {{"ids", 0.5}}}) ==
        "input 'ids': padding value 0.5 is none of type INT32");
  CHECK(refusal({.mask_input = "", .values = {}, .detect = true}) ==
        "padding can be detected by a mask only, and the model has none");
  core::Signature two_lengths = tokens({4, 8});
  two_lengths.gears[1].input_shapes[1] = {2, 4};
  CHECK_THROWS_WITH_AS(Layout(two_lengths, 2, {{1}, {}}, {.mask_input = "mask", .values = {}, .detect = true}),
                       "padding can be detected only where requests have rows, and one length for all inputs",
                       std::invalid_argument);
}
