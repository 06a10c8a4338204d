// Int8 in a graph. OpenVINO reads ONNX's QuantizeLinear as FakeQuantize -> Convert to 8 bits, and DequantizeLinear as
// Convert to float -> Subtract the zero point -> Multiply by the scale. These steps belong together: the CPU's int8
// kernels are chosen for a product whose inputs are dequantized, with nothing between.
#pragma once

#include <openvino/core/model.hpp>
#include <openvino/core/node.hpp>
#include <set>

namespace emulator {

// Keeps 8-bit weights as they are where constant folding would store them dequantized. Before the folding.
void keep_integer_weights(const ov::Model& model);

bool is_quantized(const ov::Model& model);

class Quantization {
 public:
  Quantization() = default;
  explicit Quantization(const ov::Model& model);

  // A part of quantizing or dequantizing, which rounds by itself or not at all.
  bool is_step(const ov::Node& node) const { return steps_.contains(&node); }
  // The last step of a DequantizeLinear whose input is computed: an operator of the device, unlike that of a weight.
  bool is_dequantization(const ov::Node& node) const { return dequantizations_.contains(&node); }
  // A multiple of a scale, as dequantized or as moved since.
  bool is_dequantized(const ov::Output<ov::Node>& value) const { return dequantized_.contains(value); }
  // Only moves values that are all dequantized ones.
  bool moves_dequantized(const ov::Node& node) const;
  // A matrix product of integers: both its inputs are dequantized.
  bool is_integer_product(const ov::Node& node) const;

 private:
  void find_steps(const ov::Node& node);

  std::set<const ov::Node*> steps_;
  std::set<const ov::Node*> dequantizations_;
  std::set<ov::Output<ov::Node>> dequantized_;
};

}  // namespace emulator
