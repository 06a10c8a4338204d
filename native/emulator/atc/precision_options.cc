#include "emulator/atc/precision_options.h"

#include "emulator/atc/failure.h"
#include "emulator/atc/json.h"
#include "emulator/atc/text.h"

namespace emulator::atc {
namespace {

Json read_json(const std::string& flag, const std::string& path) {
  try {
    return parse_json(read_text(flag, path));
  } catch (const JsonError& error) {
    invalid_value(flag, path, std::string("The file is not valid JSON: ") + error.what() + ".");
  }
}

std::vector<std::string> operator_types(const std::string& path, const Json& value) {
  std::vector<std::string> types;
  if (value.kind != Json::Kind::list) invalid_value("modify_mixlist", path, "Operator types must be a list.");
  for (const Json& each : value.list) {
    if (each.kind != Json::Kind::text) invalid_value("modify_mixlist", path, "Operator types must be texts.");
    types.push_back(each.text);
  }
  return types;
}

// {"black-list": {"to-add": [...], "to-remove": [...]}, "white-list": {...}}
void apply_mixlist(const std::string& path, PrecisionRules& rules) {
  const Json file = read_json("modify_mixlist", path);
  if (file.kind != Json::Kind::object) invalid_value("modify_mixlist", path, "The file must hold an object.");
  for (const auto& [list, changes] : file.object) {
    const bool black = list == "black-list";
    if (!black && list != "white-list" && list != "gray-list") {
      invalid_value("modify_mixlist", path, "[" + list + "] must be black-list or white-list.");
    }
    if (list == "gray-list") {
      invalid_value("modify_mixlist", path, "Operators become grey by removal from the black or the white list.");
    }
    if (changes.kind != Json::Kind::object) invalid_value("modify_mixlist", path, "[" + list + "] must be an object.");
    for (const auto& [change, types] : changes.object) {
      if (change != "to-add" && change != "to-remove") {
        invalid_value("modify_mixlist", path, "[" + change + "] must be to-add or to-remove.");
      }
      const bool add = change == "to-add";
      std::vector<std::string>& target =
          black ? (add ? rules.add_black : rules.remove_black) : (add ? rules.add_white : rules.remove_white);
      target = operator_types(path, types);
    }
  }
}

void check_switches(const std::string& path, const Json& switches) {
  if (switches.kind != Json::Kind::object) invalid_value("fusion_switch_file", path, "Switches must be an object.");
  for (const auto& [pass, state] : switches.object) {
    if (state.kind == Json::Kind::object) {
      check_switches(path, state);
    } else if (state.kind != Json::Kind::text || (state.text != "on" && state.text != "off")) {
      invalid_value("fusion_switch_file", path, "[" + pass + "] must be on or off.");
    }
  }
}

}  // namespace

std::string precision_name(const Flags& flags) {
  if (!flags.get("precision_mode_v2").empty()) return flags.get("precision_mode_v2");
  const std::string mode = flags.get("precision_mode");
  return mode.empty() ? "force_fp16" : mode;
}

PrecisionRules parse_precision(const Flags& flags) {
  const std::string mode = flags.get("precision_mode");
  const std::string mode_v2 = flags.get("precision_mode_v2");
  if (!mode.empty() && !mode_v2.empty()) {
    throw Failure("E10056", "[--precision_mode] and [--precision_mode_v2] cannot be set together.");
  }
  const std::optional<PrecisionRules> known =
      mode_v2.empty() ? precision_mode_rules(precision_name(flags)) : precision_mode_v2_rules(mode_v2);
  if (!known) {
    invalid_value(mode_v2.empty() ? "precision_mode" : "precision_mode_v2", precision_name(flags),
                  "There is no such mode on this chip; see 'atc --help'.");
  }
  PrecisionRules rules = *known;
  const std::string mixlist = flags.get("modify_mixlist");
  if (!mixlist.empty()) {
    if (rules.mode != PrecisionMode::mixed) {
      invalid_value("modify_mixlist", mixlist,
                    "It needs [--precision_mode] as allow_mix_precision, allow_mix_precision_fp16 or "
                    "allow_mix_precision_bf16, or [--precision_mode_v2] as mixed_float16 or mixed_bfloat16.");
    }
    apply_mixlist(mixlist, rules);
  }
  return rules;
}

KeptOperators parse_keep_dtype(const Flags& flags) {
  static constexpr std::string_view kTypePrefix = "OpType::";
  KeptOperators kept;
  for (const std::string& line : split(read_text("keep_dtype", flags.get("keep_dtype")), '\n')) {
    if (line.empty()) continue;
    if (line.starts_with(kTypePrefix)) {
      kept.types.push_back(line.substr(kTypePrefix.size()));
    } else {
      kept.names.push_back(line);
    }
  }
  return kept;
}

void check_fusion_switches(const Flags& flags) {
  const std::string path = flags.get("fusion_switch_file");
  if (path.empty()) return;
  const std::string text = trim(read_text("fusion_switch_file", path));
  if (text.starts_with('{')) return check_switches(path, read_json("fusion_switch_file", path));
  for (const std::string& line : split(text, '\n')) {
    if (!line.empty() && !line.ends_with(":off") && !line.ends_with(":on")) {
      invalid_value("fusion_switch_file", path, "[" + line + "] must be PassName:on or PassName:off.");
    }
  }
}

}  // namespace emulator::atc
