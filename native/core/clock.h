// The two times that matter: steady for durations and deadlines, wall for what people read.
#pragma once

#include <cstdint>

namespace npuserve::core {

// Nanoseconds of std::chrono::steady_clock.
int64_t steady_now_ns();

// Milliseconds since the Unix epoch.
int64_t wall_now_ms();

}  // namespace npuserve::core
