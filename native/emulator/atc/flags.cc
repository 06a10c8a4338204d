#include "emulator/atc/flags.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "emulator/atc/failure.h"
#include "emulator/atc/text.h"

namespace emulator::atc {
namespace {

// What a flag means to the emulator.
enum class Effect {
  used,       // changes the result
  no_effect,  // checked; tunes what only the NPU has (kernels, caches, logs), never the numbers
  refused     // would change the numbers or the interface in a way that the emulator cannot follow
};

struct Flag {
  std::string_view name;
  std::string_view values;   // allowed ones separated by '|', "" = any
  std::string_view initial;  // the default
  Effect effect;
  std::string_view help;
};

constexpr Effect kUsed = Effect::used;
constexpr Effect kNoEffect = Effect::no_effect;
constexpr Effect kRefused = Effect::refused;

constexpr std::array kFlags{
    Flag{"help", "", "", kUsed, "show this text"},
    Flag{"mode", "", "0", kUsed, "0: compile a model into an OM (default); 6: show an OM's information"},
    Flag{"model", "", "", kUsed, "the ONNX file"},
    Flag{"om", "", "", kUsed, "the OM to show (mode 6)"},
    Flag{"framework", "", "", kUsed, "5: ONNX"},
    Flag{"output", "", "", kUsed, "path of the result, without .om"},
    Flag{"soc_version", "", "", kUsed, "the chip, as Ascend910B3"},
    Flag{"input_format", "", "NCHW", kUsed, "NCHW (default), NCDHW, ND"},
    Flag{"input_shape", "", "", kUsed, "\"a:1,512;b:-1,512\""},
    Flag{"input_shape_range", "", "", kUsed, "not supported by the emulator: shapes without gears"},
    Flag{"dynamic_batch_size", "", "", kUsed, "batch gears: \"1,2,4,8\""},
    Flag{"dynamic_dims", "", "", kUsed, "gears of all -1 axes: \"1,128;8,128\""},
    Flag{"dynamic_image_size", "", "", kUsed, "not supported by the emulator: image gears"},
    Flag{"precision_mode", "", "", kUsed, "force_fp16 (default), allow_mix_precision, must_keep_origin_dtype, ..."},
    Flag{"precision_mode_v2", "", "", kUsed, "fp16 (default), origin, mixed_float16, mixed_bfloat16, ..."},
    Flag{"modify_mixlist", "", "", kUsed, "JSON file: changes to the lists of mixed precision"},
    Flag{"keep_dtype", "", "", kUsed, "file: operators that keep their precision, a name or OpType::Name a line"},
    Flag{"output_type", "", "", kUsed, "FP32, FP16, ... for all outputs, or \"node:0:FP16;...\" with --out_nodes"},
    Flag{"input_fp16_nodes", "", "", kUsed, "\"a;b\": inputs that become FP16"},
    Flag{"out_nodes", "", "", kUsed, "\"node:0;node2:1\" or names of ONNX tensors"},
    Flag{"display_model_info", "0|1", "0", kUsed, "1: show the OM's information after compiling"},
    Flag{"fusion_switch_file", "", "", kUsed,
         "file of fusion passes to switch; checked, as the emulator fuses nothing"},
    Flag{"op_select_implmode", "high_precision|high_performance|high_precision_for_all|high_performance_for_all",
         "high_performance", kUsed, "kernel choice; no effect on the emulator"},
    Flag{"optypelist_for_implmode", "", "", kUsed, "operator types that op_select_implmode is for"},
    Flag{"external_weight", "0|1|2", "0", kUsed, "0: weights inside the OM"},
    Flag{"log", "debug|info|warning|error|null", "null", kNoEffect, "log level"},
    Flag{"op_debug_level", "0|1|2|3|4", "0", kNoEffect, "kernel debugging"},
    Flag{"debug_dir", "", "", kNoEffect, "folder of kernel debugging files"},
    Flag{"deterministic", "0|1", "0", kNoEffect, "the emulator is always deterministic"},
    Flag{"check_report", "", "", kNoEffect, "path of the pre-check's report (mode 3)"},
    Flag{"enable_single_stream", "true|false", "false", kNoEffect, "streams inside the model"},
    Flag{"op_compiler_cache_mode", "enable|force|disable", "disable", kNoEffect, "kernel cache"},
    Flag{"op_compiler_cache_dir", "", "", kNoEffect, "folder of the kernel cache"},
    Flag{"core_type", "AiCore|VectorCore", "AiCore", kNoEffect, "inference-series chips only"},
    Flag{"aicore_num", "", "", kNoEffect, "cores to compile for"},
    Flag{"host_env_os", "linux", "linux", kNoEffect, "the host's operating system"},
    Flag{"host_env_cpu", "x86_64|aarch64", "", kNoEffect, "the host's processor"},
    Flag{"insert_op_conf", "", "", kRefused, "AIPP (image preprocessing)"},
    Flag{"customize_dtypes", "", "", kRefused, "types of single operators"},
    Flag{"op_precision_mode", "", "", kRefused, "kernel choice by file"},
    Flag{"compression_optimize_conf", "", "", kRefused, "built-in calibration"},
    Flag{"weight", "", "", kRefused, "weights of a Caffe model"},
    Flag{"json", "", "", kRefused, "the JSON file of modes 1 and 5"},
};

const Flag* find_flag(std::string_view name) {
  const auto* found = std::find_if(kFlags.begin(), kFlags.end(), [&](const Flag& flag) { return flag.name == name; });
  return found == kFlags.end() ? nullptr : found;
}

void check(const Flag& flag, const std::string& value) {
  const std::string name(flag.name);
  if (flag.effect == Effect::refused) {
    throw Failure("E10055",
                  "The emulator does not support parameter [--" + name + "] (" + std::string(flag.help) + ").");
  }
  if (flag.values.empty() || value.empty()) return;
  const std::vector<std::string> allowed = split(flag.values, '|');
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
    invalid_value(name, value, "It must be one of " + std::string(flag.values) + ".");
  }
}

std::string shell_word(const std::string& argument) {
  const bool plain = argument.find_first_of(" ;\t'\"") == std::string::npos;
  return plain ? argument : std::string("\"").append(argument).append("\"");
}

}  // namespace

Flags Flags::parse(const std::vector<std::string>& arguments) {
  Flags flags;
  flags.command_line_ = "atc";
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    flags.command_line_.append(" ").append(shell_word(argument));
    if (argument == "-h") {
      flags.values_["help"] = "";
      continue;
    }
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const Flag* flag = name.starts_with("--") ? find_flag(std::string_view(name).substr(2)) : nullptr;
    if (flag == nullptr) invalid_value("flag", argument, "There is no such parameter; see 'atc --help'.");
    std::string value;
    if (equals != std::string::npos) {
      value = trim(argument.substr(equals + 1));
    } else if (flag->name != "help" && i + 1 < arguments.size() && !arguments[i + 1].starts_with("--")) {
      value = trim(arguments[++i]);
      flags.command_line_.append(" ").append(shell_word(value));
    }
    check(*flag, value);
    flags.values_[std::string(flag->name)] = value;
  }
  return flags;
}

std::string Flags::get(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string(find_flag(name)->initial) : found->second;
}

std::string Flags::require(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) throw Failure("E10007", "[--" + name + "] is required.");
  if (found->second.empty()) throw Failure("E10008", "The value of [--" + name + "] is empty.");
  return found->second;
}

std::string help_text() {
  std::string text = "usage: atc --model=FILE --framework=5 --output=PREFIX --soc_version=CHIP [--flag=value ...]\n";
  for (const Flag& flag : kFlags) {
    std::string line = "  --" + std::string(flag.name);
    line.resize(std::max<size_t>(line.size() + 2, 28), ' ');
    text += line + std::string(flag.help);
    if (!flag.values.empty()) text += " (" + std::string(flag.values) + ")";
    if (flag.effect == Effect::no_effect) text += " [no effect on the emulator]";
    if (flag.effect == Effect::refused) text += " [refused by the emulator]";
    text += "\n";
  }
  return text;
}

}  // namespace emulator::atc
