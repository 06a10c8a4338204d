// The milliseconds that the ...WithTimeout calls take.
#pragma once

#include <chrono>
#include <cstdint>

#include "emulator/errors.h"
#include "emulator/signal.h"

namespace emulator {

// -1 waits for ever; 0 and other negative values are refused with `invalid`.
inline Timeout require_timeout(std::int32_t milliseconds, aclError invalid = ACL_ERROR_RT_PARAM_INVALID) {
  require(milliseconds == -1 || milliseconds > 0, invalid, "the timeout must be -1 (for ever) or milliseconds above 0");
  return milliseconds == -1 ? Timeout() : Timeout(std::chrono::milliseconds(milliseconds));
}

}  // namespace emulator
