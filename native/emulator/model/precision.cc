#include "emulator/model/precision.h"

#include <algorithm>
#include <array>
#include <map>
#include <openvino/op/abs.hpp>
#include <openvino/op/add.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/op/fake_quantize.hpp>
#include <openvino/op/multiply.hpp>
#include <openvino/op/parameter.hpp>
#include <openvino/op/result.hpp>
#include <utility>

#include "emulator/model/operators.h"
#include "emulator/model/quantization.h"
#include "emulator/model/round_op.h"

namespace emulator {
namespace {

using Value = ov::Output<ov::Node>;

struct ModeRow {
  std::string_view name;
  PrecisionMode mode;
  Narrow type;
};

template <size_t Count>
std::optional<PrecisionRules> find_mode(const std::array<ModeRow, Count>& rows, std::string_view name) {
  const auto* row = std::find_if(rows.begin(), rows.end(), [&](const ModeRow& each) { return each.name == name; });
  if (row == rows.end()) return std::nullopt;
  PrecisionRules rules;
  rules.mode = row->mode;
  rules.type = row->type;
  return rules;
}

bool names_type(const std::vector<std::string>& types, std::string_view type) {
  return std::any_of(types.begin(), types.end(),
                     [&](const std::string& each) { return same_operator_type(each, type); });
}

MixList effective_list(const OperatorKind& kind, const PrecisionRules& rules) {
  if (names_type(rules.add_black, kind.ascend_type)) return MixList::black;
  if (names_type(rules.add_white, kind.ascend_type)) return MixList::white;
  const bool removed = (kind.list == MixList::white && names_type(rules.remove_white, kind.ascend_type)) ||
                       (kind.list == MixList::black && names_type(rules.remove_black, kind.ascend_type));
  return removed ? MixList::grey : kind.list;
}

std::optional<Narrow> narrow_type(ov::element::Type type) {
  if (type == ov::element::f16) return Narrow::half;
  if (type == ov::element::bf16) return Narrow::bfloat16;
  return std::nullopt;
}

const ov::op::v0::Constant* as_constant(const Value& value) {
  return dynamic_cast<const ov::op::v0::Constant*>(value.get_node());
}

bool is_operator(const ov::Node& node) {
  return dynamic_cast<const ov::op::v0::Constant*>(&node) == nullptr &&
         dynamic_cast<const ov::op::v0::Parameter*>(&node) == nullptr &&
         dynamic_cast<const ov::op::v0::Result*>(&node) == nullptr;
}

class Rounding {
 public:
  explicit Rounding(const PrecisionRules& rules) : rules_(rules) {}

  PrecisionResult run(ov::Model& model) {
    PrecisionResult result;
    find_kept(model);
    quantization_ = Quantization(model);
    for (const std::shared_ptr<ov::Node>& node : model.get_ordered_ops()) {
      if (dynamic_cast<const ov::op::v0::Result*>(node.get()) != nullptr) round_result(*node);
      if (!is_operator(*node)) continue;
      const Treatment treatment = decide(*node);
      if (treatment.inputs) round_inputs(*node, *treatment.inputs);
      if (treatment.output) round_outputs(*node, *treatment.output, treatment.moves_values);
      if (!rules_.faults.empty()) plant_faults(*node, treatment);
      if (is_operator_of_the_device(*node)) result.operators.push_back(describe(*node, treatment));
    }
    model.validate_nodes_and_infer_types();
    result.weight_bytes = weight_bytes(model);
    return result;
  }

 private:
  struct Treatment {
    std::optional<Narrow> inputs;
    std::optional<Narrow> output;
    bool moves_values = false;
  };

  Treatment decide(const ov::Node& node) const {
    const OperatorKind kind = operator_kind(node);
    for (const Value& output : const_cast<ov::Node&>(node).outputs()) {
      if (const auto own = narrow_type(output.get_element_type())) return {std::nullopt, own, kind.moves_values};
    }
    if (rules_.mode == PrecisionMode::origin || keeps_precision(node, kind)) return {};
    if (quantization_.is_step(node)) return quantizing(node);
    if (quantization_.moves_dequantized(node)) return {};
    const bool integers = quantization_.is_integer_product(node);
    const Treatment lowered{integers ? std::nullopt : std::optional(rules_.type), rules_.type, kind.moves_values};
    switch (rules_.mode) {
      case PrecisionMode::lower:
        return lowered;
      case PrecisionMode::matrix_inputs:
        return is_matrix_operator(node) && !integers ? Treatment{rules_.type, std::nullopt, false} : Treatment{};
      default:
        break;
    }
    const MixList list = effective_list(kind, rules_);
    const bool lower = list == MixList::white || (list == MixList::grey && predecessors_are_lowered(node));
    return lower ? lowered : Treatment{};
  }

  // What is quantized comes in half precision; how it is quantized and the integers themselves are not rounded. A
  // dequantized value is rounded where it is read, unless by a product of integers.
  Treatment quantizing(const ov::Node& node) const {
    const bool quantizes = dynamic_cast<const ov::op::v0::FakeQuantize*>(&node) != nullptr;
    if (quantizes && rules_.mode == PrecisionMode::lower) return {rules_.type, std::nullopt, false};
    return {};
  }

  // Dequantizing a weight is the compiler's work, and of the steps of one operator the last stands for it.
  bool is_operator_of_the_device(const ov::Node& node) const {
    return !quantization_.is_step(node) || quantization_.is_dequantization(node) ||
           dynamic_cast<const ov::op::v0::FakeQuantize*>(&node) != nullptr;
  }

  void round_result(ov::Node& result) {
    const bool rounds = rules_.mode == PrecisionMode::lower || rules_.mode == PrecisionMode::mixed;
    if (rounds && quantization_.is_dequantized(result.input_value(0))) round_inputs(result, rules_.type);
  }

  bool keeps_precision(const ov::Node& node, const OperatorKind& kind) const {
    return kept_.contains(&node) || names_type(rules_.keep_types, kind.ascend_type);
  }

  // An ONNX operator's parts lie before its outputs, and have tensors without names.
  void keep_parts(const ov::Node& node) {
    if (!is_operator(node) || !kept_.insert(&node).second) return;
    for (const Value& source : node.input_values()) {
      if (source.get_names().empty()) keep_parts(*source.get_node());
    }
  }

  void find_kept(const ov::Model& model) {
    for (const std::shared_ptr<ov::Node>& node : model.get_ordered_ops()) {
      for (const Value& output : node->outputs()) {
        for (const std::string& tensor : output.get_names()) {
          if (rules_.keep_tensors.contains(tensor)) keep_parts(*node);
        }
      }
    }
  }

  // A grey operator runs in half precision when all that it computes from does; weights and biases have no say.
  bool predecessors_are_lowered(const ov::Node& node) const {
    bool any = false;
    for (const Value& value : node.input_values()) {
      if (value.get_element_type() != ov::element::f32 || as_constant(value) != nullptr) continue;
      if (!is_rounded(value) && !quantization_.is_dequantized(value)) return false;
      any = true;
    }
    return any;
  }

  bool is_rounded(const Value& value) const {
    const auto found = rounded_.find(value);
    return found != rounded_.end() && found->second == rules_.type;
  }

  void round_inputs(ov::Node& node, Narrow type) {
    const size_t count = dynamic_cast<const ov::op::v0::FakeQuantize*>(&node) != nullptr ? 1 : node.get_input_size();
    for (size_t i = 0; i < count; ++i) {
      ov::Input<ov::Node> input = node.input(i);
      const Value source = input.get_source_output();
      if (source.get_element_type() == ov::element::f32 && !is_rounded(source)) {
        input.replace_source_output(rounded_value(source, type));
      }
    }
  }

  void round_outputs(ov::Node& node, Narrow type, bool moves_values) {
    for (const Value& output : node.outputs()) {
      const bool narrow = narrow_type(output.get_element_type()).has_value();
      if (output.get_element_type() != ov::element::f32 && !narrow) continue;
      if (moves_values || dynamic_cast<const RoundValues*>(&node) != nullptr) {
        rounded_[output] = type;
        continue;
      }
      const std::set<ov::Input<ov::Node>> consumers = output.get_target_inputs();
      const Value rounded = rounded_value(output, type);
      for (ov::Input<ov::Node> consumer : consumers) consumer.replace_source_output(rounded);
    }
  }

  void plant_faults(const ov::Node& node, const Treatment& treatment) {
    for (const Value& output : const_cast<ov::Node&>(node).outputs()) {
      if (output.get_element_type() != ov::element::f32) continue;
      for (const std::string& tensor : output.get_names()) {
        const auto fault = rules_.faults.find(tensor);
        if (fault == rules_.faults.end() || (fault->second.narrow_only && !treatment.output)) continue;
        plant_fault(output, fault->second, treatment.output);
        break;
      }
    }
  }

  void plant_fault(const Value& output, const PrecisionFault& fault, std::optional<Narrow> type) {
    const auto rounding = type ? roundings_.find({output, *type}) : roundings_.end();
    const Value right = rounding == roundings_.end() ? output : rounding->second;
    const std::set<ov::Input<ov::Node>> consumers = right.get_target_inputs();
    const auto relative = ov::op::v0::Constant::create(ov::element::f32, ov::Shape{}, {fault.relative});
    const auto size = std::make_shared<ov::op::v0::Abs>(right);
    const auto error = std::make_shared<ov::op::v1::Multiply>(size, relative);
    Value wrong = std::make_shared<ov::op::v1::Add>(right, error)->output(0);
    if (type) wrong = rounded_value(wrong, *type);
    for (ov::Input<ov::Node> consumer : consumers) consumer.replace_source_output(wrong);
  }

  // One rounding (or one rounded copy of a weight) serves all consumers.
  Value rounded_value(const Value& source, Narrow type) {
    const auto [entry, missing] = roundings_.try_emplace({source, type});
    if (missing) {
      entry->second = as_constant(source) != nullptr ? rounded_weight(*as_constant(source), type)
                                                     : std::make_shared<RoundValues>(source, type)->output(0);
      rounded_[entry->second] = type;
    }
    return entry->second;
  }

  static Value rounded_weight(const ov::op::v0::Constant& weight, Narrow type) {
    ov::Tensor values(ov::element::f32, weight.get_shape());
    round_values(type, weight.get_data_ptr<float>(), values.data<float>(), values.get_size());
    const auto rounded = std::make_shared<ov::op::v0::Constant>(values);
    rounded->set_friendly_name(weight.get_friendly_name());
    return rounded->output(0);
  }

  Operator describe(const ov::Node& node, const Treatment& treatment) const {
    Operator result{node.get_friendly_name(), operator_kind(node).ascend_type, {}};
    if (quantization_.is_step(node) || quantization_.is_integer_product(node)) return quantized(node, result);
    const ov::element::Type type = node.get_output_size() == 0 ? ov::element::f32 : node.get_output_element_type(0);
    if (treatment.output && (type == ov::element::f32 || narrow_type(type))) {
      result.precision = *treatment.output == Narrow::half ? "FP16" : "BF16";
    } else {
      const std::optional<Element> element = element_of(type);
      result.precision = element ? std::string(element_name(*element)) : type.get_type_name();
    }
    return result;
  }

  Operator quantized(const ov::Node& node, Operator result) const {
    result.precision = "INT8";
    if (!quantization_.is_dequantization(node)) return result;
    const bool lowers = rules_.mode == PrecisionMode::lower || rules_.mode == PrecisionMode::mixed;
    const std::string_view lowered = rules_.type == Narrow::half ? "FP16" : "BF16";
    return {result.name, "AscendDequant", std::string(lowers ? lowered : "FP32")};
  }

  uint64_t weight_bytes(const ov::Model& model) const {
    uint64_t bytes = 0;
    for (const std::shared_ptr<ov::Node>& node : model.get_ordered_ops()) {
      const auto* constant = dynamic_cast<const ov::op::v0::Constant*>(node.get());
      if (constant == nullptr) continue;
      const bool lowered = rounded_.contains(node->output(0));
      bytes += lowered ? 2 * ov::shape_size(constant->get_shape()) : constant->get_byte_size();
    }
    return bytes;
  }

  const PrecisionRules& rules_;
  Quantization quantization_;
  std::set<const ov::Node*> kept_;
  std::map<Value, Narrow> rounded_;
  std::map<std::pair<Value, Narrow>, Value> roundings_;
};

}  // namespace

std::optional<PrecisionRules> precision_mode_rules(std::string_view value) {
  static constexpr std::array<ModeRow, 9> kModes{{
      {"force_fp16", PrecisionMode::lower, Narrow::half},
      {"allow_fp32_to_fp16", PrecisionMode::lower, Narrow::half},
      {"allow_fp32_to_bf16", PrecisionMode::lower, Narrow::bfloat16},
      {"force_fp32", PrecisionMode::matrix_inputs, Narrow::half},
      {"cube_fp16in_fp32out", PrecisionMode::matrix_inputs, Narrow::half},
      {"must_keep_origin_dtype", PrecisionMode::origin, Narrow::half},
      {"allow_mix_precision", PrecisionMode::mixed, Narrow::half},
      {"allow_mix_precision_fp16", PrecisionMode::mixed, Narrow::half},
      {"allow_mix_precision_bf16", PrecisionMode::mixed, Narrow::bfloat16},
  }};
  return find_mode(kModes, value);
}

std::optional<PrecisionRules> precision_mode_v2_rules(std::string_view value) {
  static constexpr std::array<ModeRow, 5> kModes{{
      {"fp16", PrecisionMode::lower, Narrow::half},
      {"origin", PrecisionMode::origin, Narrow::half},
      {"cube_fp16in_fp32out", PrecisionMode::matrix_inputs, Narrow::half},
      {"mixed_float16", PrecisionMode::mixed, Narrow::half},
      {"mixed_bfloat16", PrecisionMode::mixed, Narrow::bfloat16},
  }};
  return find_mode(kModes, value);
}

PrecisionResult apply_precision(ov::Model& model, const PrecisionRules& rules) { return Rounding(rules).run(model); }

}  // namespace emulator
