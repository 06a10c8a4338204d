#include "emulator/faults.h"

#include <atomic>
#include <charconv>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "emulator/context.h"
#include "emulator/errors.h"

namespace emulator {
namespace {

struct Rule {
  std::string function;
  std::uint64_t nth = 0;  // 0: every call
  aclError code = ACL_SUCCESS;
  bool delayed = false;
  std::uint64_t calls = 0;  // guarded by the mutex of Rules
};

struct Rules {
  std::mutex mutex;
  std::vector<Rule> rules;       // guarded by mutex
  std::atomic<bool> any{false};  // lets calls without rules pass without the lock
};

// Leaked on purpose: calls may come while the program exits, after static destructors.
Rules& rules() {
  static Rules& all = *new Rules();
  return all;
}

thread_local aclError delayed_fault = ACL_SUCCESS;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <class T>
bool parse_positive(std::string_view text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0;
}

Rule parse_rule(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, ':');
  Rule rule;
  const bool formed = (parts.size() == 3 || (parts.size() == 4 && parts[3] == "sync")) && !parts[0].empty() &&
                      (parts[1] == "*" || parse_positive(parts[1], rule.nth)) && parse_positive(parts[2], rule.code);
  if (!formed) {
    refuse(ACL_ERROR_INVALID_PARAM,
           "NPUSERVE_EMULATOR_FAULTS has the rule '" + std::string(text) + "', not function:nth:code[:sync]");
  }
  rule.function = parts[0];
  rule.delayed = parts.size() == 4;
  return rule;
}

}  // namespace

void set_faults(const std::string& text) {
  std::vector<Rule> parsed;
  for (const std::string_view part : split(text, ';')) {
    if (!part.empty()) parsed.push_back(parse_rule(part));
  }
  Rules& all = rules();
  const std::lock_guard lock(all.mutex);
  all.rules = std::move(parsed);
  all.any.store(!all.rules.empty());
}

FaultScope::FaultScope(const char* function) : outer_(std::exchange(delayed_fault, ACL_SUCCESS)) {
  Rules& all = rules();
  if (!all.any.load()) return;
  const std::lock_guard lock(all.mutex);
  for (Rule& rule : all.rules) {
    if (rule.function != function) continue;
    ++rule.calls;
    if (rule.nth != 0 && rule.nth != rule.calls) continue;
    (rule.delayed ? delayed_fault : code_) = rule.code;
  }
}

FaultScope::~FaultScope() { delayed_fault = outer_; }

void FaultScope::deliver() {
  const aclError code = take_delayed_fault();
  Context* const context = current_context();
  if (code == ACL_SUCCESS || context == nullptr || context->destroyed()) return;
  context->default_stream().post({code, std::string(current_call()) + ": injected fault"});
}

aclError take_delayed_fault() { return std::exchange(delayed_fault, ACL_SUCCESS); }

}  // namespace emulator
