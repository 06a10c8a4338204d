#include "emulator/model/int8_kernels.h"

#include <algorithm>
#include <openvino/op/constant.hpp>
#include <openvino/op/convert.hpp>
#include <openvino/op/fake_quantize.hpp>
#include <openvino/op/matmul.hpp>
#include <openvino/op/multiply.hpp>
#include <openvino/openvino.hpp>

#include "emulator/model/openvino_core.h"

namespace emulator {
namespace {

constexpr size_t kWidth = 64;
constexpr float kLargest = 255.0F;
constexpr float kWeight = 127.0F;

std::shared_ptr<ov::Model> largest_product() {
  const auto scalar = [](float value) { return ov::op::v0::Constant::create(ov::element::f32, ov::Shape{}, {value}); };
  const ov::Shape square{kWidth, kWidth};
  const auto input = std::make_shared<ov::op::v0::Parameter>(ov::element::f32, square);
  const auto quantized = std::make_shared<ov::op::v0::FakeQuantize>(input, scalar(0.0F), scalar(kLargest), scalar(0.0F),
                                                                    scalar(kLargest), 256);
  const auto bytes = ov::op::v0::Constant::create(ov::element::i8, square, {static_cast<int>(kWeight)});
  const auto weights = std::make_shared<ov::op::v1::Multiply>(
      std::make_shared<ov::op::v0::Convert>(bytes, ov::element::f32), scalar(1.0F));
  const auto product = std::make_shared<ov::op::v0::MatMul>(quantized, weights);
  return std::make_shared<ov::Model>(ov::OutputVector{product}, ov::ParameterVector{input});
}

bool try_largest_product() {
  ov::InferRequest request =
      openvino_core()
          .compile_model(largest_product(), "CPU", ov::hint::inference_precision(ov::element::f32), ov::num_streams(1))
          .create_infer_request();
  ov::Tensor input = request.get_input_tensor();
  std::fill_n(input.data<float>(), input.get_size(), kLargest);
  request.infer();
  const ov::Tensor output = request.get_output_tensor();
  const float* values = output.data<float>();
  const float expected = kLargest * kWeight * kWidth;
  return std::all_of(values, values + output.get_size(), [=](float value) { return value == expected; });
}

}  // namespace

bool int8_kernels_are_exact() {
  static const bool exact = try_largest_product();
  return exact;
}

}  // namespace emulator
