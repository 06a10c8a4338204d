// The command line as a checked whole.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "emulator/atc/flags.h"
#include "emulator/atc/shapes.h"
#include "emulator/model/precision.h"

namespace emulator::atc {

// An output of a node: --out_nodes="node:0", --output_type="node:0:FP16". Index -1: the name is an ONNX tensor's.
struct NodeOutput {
  std::string name;
  int64_t index = -1;
  auto operator<=>(const NodeOutput&) const = default;
};

struct Options {
  std::filesystem::path model;
  std::filesystem::path output;  // with .om
  std::string soc_version;
  int32_t format = 0;  // aclFormat
  Shapes shapes;
  PrecisionRules precision;
  std::string precision_name;
  std::vector<std::string> keep_names;                     // --keep_dtype: ONNX nodes
  std::map<std::string, PrecisionFault> precision_faults;  // by ONNX node; see precision_faults.h
  std::optional<Element> output_type;                      // for all outputs
  std::map<NodeOutput, Element> output_types;              // for some
  std::vector<NodeOutput> out_nodes;
  std::vector<std::string> fp16_inputs;
  bool display_info = false;
  std::string command_line;
};

// Throws Failure for a bad value, a missing flag, or flags that do not go together.
Options parse_options(const Flags& flags);

}  // namespace emulator::atc
