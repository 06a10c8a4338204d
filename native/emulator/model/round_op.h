// The graph operation that rounds float32 values to those of a narrower float. Arithmetic that does the same (x times
// 8193 and so on) is at the mercy of graph optimizers and of float contraction; an operation of our own is not.
#pragma once

#include <openvino/op/op.hpp>

#include "emulator/model/half.h"

namespace emulator {

class RoundValues : public ov::op::Op {
 public:
  OPENVINO_OP("RoundValues", "npuserve")

  RoundValues() = default;
  RoundValues(const ov::Output<ov::Node>& value, Narrow type);

  Narrow type() const { return type_; }

  void validate_and_infer_types() override;
  std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override;
  bool visit_attributes(ov::AttributeVisitor& visitor) override;
  bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override;
  bool has_evaluate() const override { return true; }

 private:
  Narrow type_ = Narrow::half;
};

}  // namespace emulator
