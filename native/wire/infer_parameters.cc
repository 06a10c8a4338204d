// What parameters may say, as npuserve.service.parameters has it.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "wire/infer_check.h"

namespace npuserve::wire {
namespace {

constexpr uint32_t bit(ParameterKind kind) { return 1U << static_cast<uint32_t>(kind); }

constexpr uint32_t kBoolBit = bit(ParameterKind::kBool);
constexpr uint32_t kInt64Bit = bit(ParameterKind::kInt64);
constexpr uint32_t kStringBit = bit(ParameterKind::kString);

// What a reserved key may hold, and how the refusal names it.
struct AllowedKinds {
  std::string_view key;
  uint32_t kinds;
  std::string_view named;
};

constexpr std::array<AllowedKinds, 6> kReserved{{
    {"priority", kInt64Bit | bit(ParameterKind::kUint64), "int64_param or uint64_param."},
    {"timeout", kInt64Bit, "int64_param."},
    {"sequence_id", kInt64Bit | kStringBit, "int64_param or string_param."},
    {"sequence_start", kBoolBit, "bool_param."},
    {"sequence_end", kBoolBit, "bool_param."},
    {"triton_enable_empty_final_response", kBoolBit, "bool_param."},
}};
constexpr AllowedKinds kCustom{"", kInt64Bit | kBoolBit | kStringBit | bit(ParameterKind::kDouble),
                               "int64_param, bool_param, or string_param."};

const AllowedKinds& kinds_of(std::string_view key) {
  const auto* const found = std::ranges::find(kReserved, key, &AllowedKinds::key);
  return found == kReserved.end() ? kCustom : *found;
}

// Why a request may not have this parameter; empty if it may.
std::string mistake(const InferParameter& parameter) {
  const AllowedKinds& allowed = kinds_of(parameter.key);
  if (&allowed == &kCustom && parameter.key.starts_with("triton_")) {
    return "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting "
           "with 'triton_' are allowed: triton_enable_empty_final_response";
  }
  if ((allowed.kinds & bit(parameter.kind)) == 0) {
    return "invalid value type for '" + std::string(parameter.key) + "' parameter, expected " +
           std::string(allowed.named);
  }
  if (parameter.key == "priority" && parameter.int64_value < 0) {
    return "invalid value for 'priority', expected value >= 0.";
  }
  return {};
}

void take(const InferParameter& parameter, InferPlan& plan) {
  if (parameter.key == "timeout") plan.timeout_us = parameter.int64_value;
  if (parameter.key != "priority") return;
  const bool is_signed = parameter.kind == ParameterKind::kInt64;
  plan.priority = is_signed ? static_cast<uint64_t>(parameter.int64_value) : parameter.uint64_value;
}

}  // namespace

bool check_request_parameters(const InferRequest& request, InferPlan& plan) {
  std::string found;
  bool is_of_sequence = false;
  for (const InferParameter& parameter : request.parameters) {
    std::string text = mistake(parameter);
    // A map has no order: of several mistakes the handlers choose the one to name.
    if (!text.empty() && !found.empty()) return hand_on(plan);
    // No model of a route has sequences: the handlers refuse what belongs to one.
    is_of_sequence |= parameter.key == "sequence_id";
    if (text.empty()) {
      take(parameter, plan);
    } else {
      found = std::move(text);
    }
  }
  if (!found.empty()) return refuse(plan, std::move(found));
  return !is_of_sequence || hand_on(plan);
}

}  // namespace npuserve::wire
