// How a call fails: a code for the caller, a text for aclGetRecentErrMsg, and no exception across the C ABI.
//
// Inside an exported function a rule that is broken throws a Refusal (refuse, require); `exported` turns it into code
// and text. `fail` does the same for code that prefers to return. Texts start with the rule: the call is named for
// them.
#pragma once

#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include "acl/abi.h"
#include "emulator/faults.h"

namespace emulator {

// A code with its text; success has none. Also what a stream keeps of a task that failed.
struct Failure {
  aclError code = ACL_SUCCESS;
  std::string text;
};

class Refusal : public std::exception {
 public:
  explicit Refusal(Failure failure) : failure_(std::move(failure)) {}
  const char* what() const noexcept override { return failure_.text.c_str(); }
  const Failure& failure() const noexcept { return failure_; }

 private:
  Failure failure_;
};

[[noreturn]] void refuse(aclError code, std::string text);

inline void require(bool holds, aclError code, const char* text) {
  if (!holds) refuse(code, text);
}

// Keeps "call: text" for aclGetRecentErrMsg in this thread and returns the code. Runtime codes become the last error.
aclError fail(aclError code, const std::string& text);

// What aclGetRecentErrMsg returns: all texts, newest first, in the vendor's form. Forgets them; empty if none.
std::string take_recent_text();

// The plain texts of this thread, oldest first: how a stream's worker hands them to who synchronizes. Forgets them.
std::string take_plain_text();

// err_msg_mode of aclInit's configuration: texts are kept for the whole process instead of for each thread.
void keep_text_for_process(bool whole_process);

// The last runtime code (107/207/507xxx) of this thread.
aclError last_error();
void clear_last_error();

// Names the running call for texts, for its time in scope. A callback may call again: scopes nest.
class CallScope {
 public:
  explicit CallScope(const char* function) noexcept;
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  const char* outer_;
};

const char* current_call() noexcept;

// Reports the exception being handled as a code with a text; 500000 for what no rule foresaw.
aclError report_exception() noexcept;

// Wraps every exported function that returns aclError. `body` returns aclError or nothing.
template <class F>
aclError exported(const char* function, F body) noexcept {
  const CallScope scope(function);
  try {
    FaultScope fault(function);
    if (fault.code() != ACL_SUCCESS) return fail(fault.code(), "injected fault");
    aclError code = ACL_SUCCESS;
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      body();
    } else {
      code = body();
    }
    fault.deliver();
    return code;
  } catch (...) {
    return report_exception();
  }
}

// Wraps an exported function that returns something else: `on_failure` stands for every failure, its text is kept.
template <class R, class F>
R exported_value(const char* function, R on_failure, F body) noexcept {
  R value = on_failure;
  const aclError code = exported(function, [&] { value = body(); });
  return code == ACL_SUCCESS ? value : on_failure;
}

}  // namespace emulator
