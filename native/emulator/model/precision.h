// Makes a graph compute as a device of lower precision does: operators that run in half precision get rounded inputs,
// rounded weights, and a rounded output. The unit is the operator of the compiled graph: inside one operator the sum is
// kept in float32, as the device's cube and vector units keep it.
#pragma once

#include <map>
#include <openvino/core/model.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/model/half.h"
#include "emulator/model/metadata.h"

namespace emulator {

enum class PrecisionMode {
  origin,         // nothing is rounded
  lower,          // every operator
  matrix_inputs,  // the inputs of matrix operators only; they give float32
  mixed           // by the white, black and grey lists
};

// An operator that computes wrong, for tests of what looks for such: x becomes x + relative * |x|, which no
// normalization behind it cancels.
struct PrecisionFault {
  double relative = 0.0;
  bool narrow_only = false;  // only where the operator runs in half precision
};

struct PrecisionRules {
  PrecisionMode mode = PrecisionMode::lower;
  Narrow type = Narrow::half;
  // Changes to the lists, by operator type (--modify_mixlist). An operator that is removed from a list is grey.
  std::vector<std::string> add_white, remove_white, add_black, remove_black;
  // Operators that keep their precision (--keep_dtype); with them the parts that one ONNX operator became.
  std::set<std::string> keep_tensors;  // by a tensor that they compute
  std::vector<std::string> keep_types;
  std::map<std::string, PrecisionFault> faults;  // by a tensor that the operator computes
};

// The rules of --precision_mode (force_fp16 ...) and --precision_mode_v2 (fp16 ...); nullopt for an unknown value.
std::optional<PrecisionRules> precision_mode_rules(std::string_view value);
std::optional<PrecisionRules> precision_mode_v2_rules(std::string_view value);

struct PrecisionResult {
  std::vector<Operator> operators;
  uint64_t weight_bytes = 0;  // as the device would hold them: a lowered weight takes two bytes an element
};

// Operators whose own element type is a narrow one are rounded in every mode: the engine computes them in float32.
PrecisionResult apply_precision(ov::Model& model, const PrecisionRules& rules);

}  // namespace emulator
