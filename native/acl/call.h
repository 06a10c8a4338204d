// The one door to the vendor: every AscendCL call that returns a status goes through check() or release().
// Private to the room. On success both cost a comparison; neither synchronizes.
#pragma once

#include "acl/errors.h"
#include "acl/functions.h"
#include "acl/runtime.h"

namespace npuserve::acl {

// The error of a call that has just failed on this thread, with the driver's text, which this takes.
[[nodiscard]] Error error_of(const FunctionTable& table, const char* call, aclError code);

// Calls a function of the table. Throws Error.
template <class... Parameters, class... Arguments>
void check(const FunctionTable& table, const Function<aclError(Parameters...)>& function, Arguments... arguments) {
  const aclError code = function(arguments...);
  if (code != ACL_SUCCESS) [[unlikely]] {
    throw error_of(table, function.name, code);
  }
}

template <class... Parameters, class... Arguments>
void check(const Runtime& runtime, const Function<aclError(Parameters...)>& function, Arguments... arguments) {
  check(runtime.functions(), function, arguments...);
}

// Calls a creating function, which returns null when it fails. Throws Error: the vendor gives these calls no status of
// their own, so it carries ACL_ERROR_FAILURE.
template <class Created, class... Parameters, class... Arguments>
Created* created(const Runtime& runtime, const Function<Created*(Parameters...)>& function, Arguments... arguments) {
  Created* const result = function(arguments...);
  if (result == nullptr) [[unlikely]] {
    throw error_of(runtime.functions(), function.name, ACL_ERROR_FAILURE);
  }
  return result;
}

// Calls a function that gives something back, from a destructor.
template <class... Parameters, class... Arguments>
void release(Runtime& runtime, const Function<aclError(Parameters...)>& function, Arguments... arguments) noexcept {
  if (!runtime.is_open()) return;
  const aclError code = function(arguments...);
  if (code != ACL_SUCCESS) [[unlikely]] {
    runtime.note_failed_release(function.name, code);
  }
}

}  // namespace npuserve::acl
