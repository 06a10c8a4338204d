// Instants from durations that may be switched off.
#pragma once

#include <cstdint>

#include "wire/call_head.h"

namespace npuserve::wire {

// kNever if the duration is 0 (off) or leads out of time.
constexpr int64_t after(int64_t now_ns, int64_t duration_ns) {
  return duration_ns == 0 || duration_ns >= kNever - now_ns ? kNever : now_ns + duration_ns;
}

}  // namespace npuserve::wire
