// Operators as Ascend names them, and which mixed-precision list each is on.
#pragma once

#include <openvino/core/node.hpp>
#include <string>
#include <string_view>

namespace emulator {

// Mixed precision's three lists: white may be lowered, black keeps its precision, grey follows its predecessor.
enum class MixList { white, black, grey };

struct OperatorKind {
  std::string ascend_type;
  MixList list = MixList::grey;
  // The output only holds values of the inputs, so rounding it would change nothing.
  bool moves_values = false;
};

OperatorKind operator_kind(const ov::Node& node);

// The matrix operators, which the cube unit computes.
bool is_matrix_operator(const ov::Node& node);

// Whether two names mean one operator type: releases of an operator (SoftmaxV2) and the names of the ONNX operator and
// of its Ascend kernel (LayerNormalization, LayerNorm) are one.
bool same_operator_type(std::string_view left, std::string_view right);

}  // namespace emulator
