// An AscendCL that lacks one required function and every optional one. The build renames the one: -DaclrtMalloc=...
// Every call succeeds and gives nothing, so what creates a handle fails.
#include "acl/abi.h"

#define ACL_REQUIRED(ret, name, params) \
  extern "C" __attribute__((visibility("default"))) ret name params { return {}; }
#define ACL_OPTIONAL(ret, name, params)
#define ACL_EMULATED(ret, name, params)
#include "acl/functions.def"
