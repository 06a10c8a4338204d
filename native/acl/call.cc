#include "acl/call.h"

#include <string>
#include <utility>

namespace npuserve::acl {

Error error_of(const FunctionTable& table, const char* call, aclError code) {
  // Valid until the next call on this thread only, so copied at once.
  const char* const detail = table.aclGetRecentErrMsg();
  std::string text = detail == nullptr ? "" : detail;
  text.erase(text.find_last_not_of(" \n") + 1);
  return {call, code, std::move(text)};
}

}  // namespace npuserve::acl
