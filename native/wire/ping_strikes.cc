#include "wire/ping_strikes.h"

#include <utility>

namespace npuserve::wire {

namespace {

// What RFC 1122, section 4.2.3.6, sets for TCP's own keepalives.
constexpr int64_t kIdleIntervalNs = 7200 * kSecond;

}  // namespace

bool PingStrikes::is_abuse(int64_t now_ns, bool idle) {
  const int64_t allowed_ns = idle ? kIdleIntervalNs : limits_.min_recv_ping_interval_ns;
  const std::optional<int64_t> before_ns = std::exchange(last_ns_, now_ns);
  if (!before_ns || now_ns - *before_ns >= allowed_ns) return false;
  ++strikes_;
  return limits_.max_ping_strikes != 0 && strikes_ > limits_.max_ping_strikes;
}

void PingStrikes::forgive() {
  last_ns_.reset();
  strikes_ = 0;
}

}  // namespace npuserve::wire
