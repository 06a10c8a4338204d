#include "emulator/atc/options.h"

#include <algorithm>
#include <regex>

#include "emulator/atc/failure.h"
#include "emulator/atc/precision_faults.h"
#include "emulator/atc/precision_options.h"
#include "emulator/atc/text.h"

namespace emulator::atc {
namespace {

void check_soc_version(const std::string& value) {
  static const std::regex chips(
      "Ascend(910(A|B|ProA|ProB|PremiumA|B1|B2|B2C|B3|B4|B4-1|_93[0-9]{2})|310|310P[1-7]|310B[1-4]|950[A-Za-z0-9_]*)");
  constexpr size_t kLongestName = 64;  // the match recurses by character
  if (value.size() > kLongestName || !std::regex_match(value, chips)) {
    invalid_value("soc_version", value,
                  "It must name a chip as 'Ascend' and the name that npu-smi shows: Ascend910B3.");
  }
}

void check_framework(const Flags& flags) {
  const std::string value = flags.require("framework");
  const std::optional<int64_t> number = integer(value);
  if (!number || (*number != 5 && (*number < 0 || *number > 3))) {
    invalid_value("framework", value, "It must be 0 (Caffe), 1 (MindSpore), 3 (TensorFlow) or 5 (ONNX).");
  }
  if (*number != 5) throw Failure("E10055", "The emulator's atc compiles ONNX models only: [--framework] must be 5.");
}

// The aclFormat of --input_format.
int32_t parse_input_format(const Flags& flags) {
  const std::string value = flags.get("input_format");
  if (value == "NCHW") return 0;
  if (value == "ND") return 2;
  if (value == "NCDHW") return 30;
  invalid_value("input_format", value, "For ONNX models it must be NCHW, NCDHW or ND.");
}

void check_kernel_choice(const Flags& flags) {
  if (!flags.has("optypelist_for_implmode")) return;
  const std::string mode = flags.get("op_select_implmode");
  if (!flags.has("op_select_implmode") || mode.ends_with("_for_all")) {
    throw Failure("E10055",
                  "[--optypelist_for_implmode] needs [--op_select_implmode] as high_precision or "
                  "high_performance.");
  }
}

void check_external_weight(const Flags& flags) {
  if (flags.get("external_weight") != "0") {
    throw Failure("E10055", "The emulator keeps weights inside the OM: [--external_weight] must be 0.");
  }
}

Element parse_output_type(const std::string& text, const std::string& name) {
  const std::optional<Element> element = element_named(name);
  if (!element) invalid_value("output_type", text, "[" + name + "] is no data type (FP32, FP16, INT8, INT32, ...).");
  return *element;
}

NodeOutput parse_node_output(const std::string& text) {
  const size_t colon = text.rfind(':');
  const std::optional<int64_t> index =
      colon == std::string::npos ? std::nullopt : integer(std::string_view(text).substr(colon + 1));
  if (!index || *index < 0) return {text, -1};
  return {text.substr(0, colon), *index};
}

void parse_output_types(const Flags& flags, Options& options) {
  const std::string text = flags.get("output_type");
  if (text.empty()) return;
  if (text.find(':') == std::string::npos) {
    options.output_type = parse_output_type(text, text);
    return;
  }
  for (const std::string& part : split(text, ';')) {
    if (part.empty()) continue;
    const size_t colon = part.rfind(':');
    const NodeOutput node = parse_node_output(part.substr(0, colon));
    if (std::find(options.out_nodes.begin(), options.out_nodes.end(), node) == options.out_nodes.end()) {
      invalid_value("output_type", text, "[" + part.substr(0, colon) + "] is not in [--out_nodes].");
    }
    options.output_types[node] = parse_output_type(text, part.substr(colon + 1));
  }
}

}  // namespace

Options parse_options(const Flags& flags) {
  Options options;
  options.model = flags.require("model");
  check_framework(flags);
  options.output = flags.require("output") + ".om";
  options.soc_version = flags.require("soc_version");
  check_soc_version(options.soc_version);
  options.format = parse_input_format(flags);
  check_kernel_choice(flags);
  check_external_weight(flags);
  check_fusion_switches(flags);
  options.shapes = parse_shapes(flags);
  options.precision = parse_precision(flags);
  options.precision_name = precision_name(flags);
  if (!flags.get("keep_dtype").empty()) {
    KeptOperators kept = parse_keep_dtype(flags);
    options.keep_names = std::move(kept.names);
    options.precision.keep_types = std::move(kept.types);
  }
  options.precision_faults = read_precision_faults();
  for (const std::string& node : split(flags.get("out_nodes"), ';')) {
    if (!node.empty()) options.out_nodes.push_back(parse_node_output(node));
  }
  parse_output_types(flags, options);
  for (const std::string& input : split(flags.get("input_fp16_nodes"), ';')) {
    if (!input.empty()) options.fp16_inputs.push_back(input);
  }
  options.display_info = flags.get("display_model_info") == "1";
  options.command_line = flags.command_line();
  return options;
}

}  // namespace emulator::atc
