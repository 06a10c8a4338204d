#include "acl/call.h"

namespace npuserve::acl {

Error error_of(const FunctionTable& table, const char* call, aclError code) {
  // Valid until the next call on this thread only, so copied at once.
  const char* const detail = table.aclGetRecentErrMsg();
  return {call, code, detail == nullptr ? "" : detail};
}

}  // namespace npuserve::acl
