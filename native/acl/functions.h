// The function table: one typed, named entry for each AscendCL function that this room calls. Private to the room.
#pragma once

#include "acl/abi.h"

namespace npuserve::acl {

// One entry. `address` is null only for an optional function that the library lacks.
template <class Signature>
struct Function {
  const char* name;
  Signature* address = nullptr;

  explicit operator bool() const noexcept { return address != nullptr; }
  template <class... Arguments>
  auto operator()(Arguments... arguments) const {
    return address(arguments...);
  }
};

struct FunctionTable {
#define ACL_REQUIRED(ret, name, params) Function<ret params> name{#name};
#define ACL_OPTIONAL(ret, name, params) Function<ret params> name{#name};
#define ACL_EMULATED(ret, name, params)
#include "acl/functions.def"
#undef ACL_REQUIRED
#undef ACL_OPTIONAL
#undef ACL_EMULATED
};

}  // namespace npuserve::acl
