// Prototypes of every AscendCL function, from the list shared with the client side. A definition that differs from the
// list does not compile, and one that is missing does not link into a program that uses it.
#pragma once

#include "acl/abi.h"

#define EMULATOR_EXPORT(ret, name, params) extern "C" __attribute__((visibility("default"))) ret name params;
#define ACL_REQUIRED EMULATOR_EXPORT
#define ACL_OPTIONAL EMULATOR_EXPORT
#define ACL_EMULATED EMULATOR_EXPORT
#include "acl/functions.def"
#undef ACL_REQUIRED
#undef ACL_OPTIONAL
#undef ACL_EMULATED
#undef EMULATOR_EXPORT
