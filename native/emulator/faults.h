// Injected faults: NPUSERVE_EMULATOR_FAULTS="function:nth:code[:sync]", separated by ';'. nth counts from 1, `*` is
// every call. Without `sync` the call does nothing and returns the code; with it the call succeeds and the stream that
// it submitted to (the current context's default stream, if none) reports the code at the next synchronize.
// Functions that cannot fail (aclGetRecentErrMsg, the last error, sizes and values of types) never do.
#pragma once

#include <string>

#include "acl/abi.h"

namespace emulator {

// Replaces all rules and counts. REQUIRES: `text` in the form above, else it throws a Refusal that quotes the bad rule.
void set_faults(const std::string& text);

// One call's draw from the rules.
class FaultScope {
 public:
  explicit FaultScope(const char* function);
  ~FaultScope();
  FaultScope(const FaultScope&) = delete;
  FaultScope& operator=(const FaultScope&) = delete;

  // What the call must return at once; success if nothing.
  aclError code() const { return code_; }

  // Posts a delayed fault that no submission of this call took.
  void deliver();

 private:
  aclError code_ = ACL_SUCCESS;
  aclError outer_;  // the delayed fault of the call that a callback interrupts
};

// The delayed fault of the running call, taken by the stream that it submits to; success if none.
aclError take_delayed_fault();

}  // namespace emulator
