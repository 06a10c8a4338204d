#include "emulator/model/quantization.h"

#include <algorithm>
#include <openvino/op/constant.hpp>
#include <openvino/op/convert.hpp>
#include <openvino/op/fake_quantize.hpp>
#include <openvino/op/multiply.hpp>
#include <openvino/op/subtract.hpp>
#include <openvino/pass/constant_folding.hpp>

#include "emulator/model/operators.h"

namespace emulator {
namespace {

using Value = ov::Output<ov::Node>;

bool is_byte(ov::element::Type type) { return type == ov::element::i8 || type == ov::element::u8; }

bool is_constant(const Value& value) { return ov::is_type<ov::op::v0::Constant>(value.get_node()); }

// The only reader of a node, if it reads it as its first input.
std::shared_ptr<ov::Node> sole_reader(const ov::Node& node) {
  const std::set<ov::Input<ov::Node>> readers = const_cast<ov::Node&>(node).output(0).get_target_inputs();
  if (readers.size() != 1 || readers.begin()->get_index() != 0) return nullptr;
  return readers.begin()->get_node()->shared_from_this();
}

// The steps of the dequantization that begins with the node, the scaling last; none if none begins.
std::vector<std::shared_ptr<ov::Node>> dequantization_from(const std::shared_ptr<ov::Node>& node) {
  if (!ov::is_type<ov::op::v0::Convert>(node) || !is_byte(node->get_input_element_type(0))) return {};
  if (!node->get_output_element_type(0).is_real()) return {};
  std::vector<std::shared_ptr<ov::Node>> steps{node};
  std::shared_ptr<ov::Node> next = sole_reader(*node);
  if (ov::is_type<ov::op::v1::Subtract>(next)) {
    steps.push_back(next);
    next = sole_reader(*next);
  }
  if (!ov::is_type<ov::op::v1::Multiply>(next)) return {};
  steps.push_back(next);
  return steps;
}

}  // namespace

void keep_integer_weights(const ov::Model& model) {
  for (const std::shared_ptr<ov::Node>& node : model.get_ordered_ops()) {
    const std::vector<std::shared_ptr<ov::Node>> steps = dequantization_from(node);
    if (!steps.empty() && is_constant(node->input_value(0))) ov::pass::disable_constant_folding(node);
  }
}

bool is_quantized(const ov::Model& model) {
  const std::vector<std::shared_ptr<ov::Node>> nodes = model.get_ops();
  return std::any_of(nodes.begin(), nodes.end(),
                     [](const auto& node) { return ov::is_type<ov::op::v0::FakeQuantize>(node); });
}

Quantization::Quantization(const ov::Model& model) {
  for (const std::shared_ptr<ov::Node>& node : model.get_ordered_ops()) {
    find_steps(*node);
    if (moves_dequantized(*node)) {
      for (const Value& output : node->outputs()) dequantized_.insert(output);
    }
  }
}

void Quantization::find_steps(const ov::Node& node) {
  const std::shared_ptr<ov::Node> self = const_cast<ov::Node&>(node).shared_from_this();
  if (ov::is_type<ov::op::v0::FakeQuantize>(self)) steps_.insert(&node);
  if (ov::is_type<ov::op::v0::Convert>(self) && is_byte(node.get_output_element_type(0))) {
    if (steps_.contains(node.get_input_node_ptr(0))) steps_.insert(&node);
  }
  const std::vector<std::shared_ptr<ov::Node>> steps = dequantization_from(self);
  if (steps.empty()) return;
  for (const std::shared_ptr<ov::Node>& step : steps) steps_.insert(step.get());
  dequantized_.insert(steps.back()->output(0));
  if (!is_constant(node.input_value(0))) dequantizations_.insert(steps.back().get());
}

bool Quantization::moves_dequantized(const ov::Node& node) const {
  if (!operator_kind(node).moves_values) return false;
  size_t count = 0;
  for (const Value& input : node.input_values()) {
    if (!input.get_element_type().is_real()) continue;
    if (!is_dequantized(input)) return false;
    ++count;
  }
  return count > 0;
}

bool Quantization::is_integer_product(const ov::Node& node) const {
  if (!is_matrix_operator(node)) return false;
  const ov::OutputVector inputs = node.input_values();
  return std::all_of(inputs.begin(), inputs.end(), [&](const Value& input) { return is_dequantized(input); });
}

}  // namespace emulator
