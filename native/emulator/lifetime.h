// From aclInit to aclFinalize. As with the vendor's library, a process that uses it must not fork.
#pragma once

#include <functional>

#include "acl/abi.h"

namespace emulator {

// Fails unless aclInit was called. Model functions pass 145001.
void require_initialized(aclError code = ACL_ERROR_UNINITIALIZE);

// Runs at every aclFinalize, after all streams ended and before memory is given back. For the models' table.
void on_finalize(std::function<void()> hook);

}  // namespace emulator
