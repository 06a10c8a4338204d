#include "emulator/atc/precision_faults.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "emulator/atc/failure.h"
#include "emulator/atc/text.h"

namespace emulator::atc {
namespace {

constexpr const char* kVariable = "NPUSERVE_EMULATOR_PRECISION_FAULTS";
constexpr std::string_view kNarrowOnly = ":half";

// Names of nodes may have colons, so a rule is read from its end.
void read_rule(std::string rule, std::map<std::string, PrecisionFault>& faults) {
  const std::string whole = rule;
  PrecisionFault fault;
  fault.narrow_only = rule.ends_with(kNarrowOnly);
  if (fault.narrow_only) rule.resize(rule.size() - kNarrowOnly.size());
  const size_t colon = rule.rfind(':');
  const char* const end = rule.data() + rule.size();
  const char* const digits = colon == std::string::npos ? end : rule.data() + colon + 1;
  const auto [rest, error] = std::from_chars(digits, end, fault.relative);
  if (colon == 0 || error != std::errc() || rest != end) {
    throw Failure("E10001", std::string(kVariable) + " has the rule '" + whole + "', not node:relative[:half].");
  }
  faults[rule.substr(0, colon)] = fault;
}

}  // namespace

std::map<std::string, PrecisionFault> read_precision_faults() {
  std::map<std::string, PrecisionFault> faults;
  const char* const text = std::getenv(kVariable);
  if (text == nullptr) return faults;
  for (const std::string& rule : split(text, ';')) {
    if (!rule.empty()) read_rule(rule, faults);
  }
  return faults;
}

}  // namespace emulator::atc
