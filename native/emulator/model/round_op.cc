#include "emulator/model/round_op.h"

#include <cstring>

namespace emulator {

RoundValues::RoundValues(const ov::Output<ov::Node>& value, Narrow type) : Op({value}), type_(type) {
  constructor_validate_and_infer_types();
}

void RoundValues::validate_and_infer_types() {
  set_output_type(0, get_input_element_type(0), get_input_partial_shape(0));
}

std::shared_ptr<ov::Node> RoundValues::clone_with_new_inputs(const ov::OutputVector& inputs) const {
  return std::make_shared<RoundValues>(inputs.at(0), type_);
}

bool RoundValues::visit_attributes(ov::AttributeVisitor& visitor) {
  bool half = type_ == Narrow::half;
  visitor.on_attribute("half", half);
  type_ = half ? Narrow::half : Narrow::bfloat16;
  return true;
}

bool RoundValues::evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const {
  const ov::Tensor& from = inputs.at(0);
  outputs.at(0).set_shape(from.get_shape());
  if (from.get_element_type() != ov::element::f32) {  // a tensor that is narrow already needs no rounding
    std::memcpy(outputs[0].data(), from.data(), from.get_byte_size());
    return true;
  }
  round_values(type_, from.data<const float>(), outputs[0].data<float>(), from.get_size());
  return true;
}

}  // namespace emulator
