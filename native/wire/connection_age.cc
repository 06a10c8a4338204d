#include "wire/connection_age.h"

#include <algorithm>

#include "wire/instant.h"

namespace npuserve::wire {
namespace {

// A multiplicative hash (Knuth 6.4), scaled to a tenth either way.
int64_t spread_ns(uint64_t id, int64_t duration_ns) {
  constexpr uint64_t kGoldenRatio = 0x9e37'79b9'7f4a'7c15U;
  const auto of_thousand = static_cast<int64_t>((id * kGoldenRatio >> 32U) % 201) - 100;
  return duration_ns / 1000 * of_thousand;
}

}  // namespace

ConnectionAge::ConnectionAge(const Limits& limits, uint64_t id, int64_t now_ns)
    : limits_(limits),
      handshake_ns_(after(now_ns, limits.handshake_timeout_ns)),
      idle_ns_(after(now_ns, limits.max_connection_idle_ns)),
      old_ns_(after(now_ns, limits.max_connection_age_ns)),
      abort_ns_(kNever) {
  if (old_ns_ != kNever) old_ns_ += spread_ns(id, limits.max_connection_age_ns);
}

void ConnectionAge::greeted() { handshake_ns_ = kNever; }

void ConnectionAge::became_busy() { idle_ns_ = kNever; }

void ConnectionAge::became_idle(int64_t now_ns) { idle_ns_ = after(now_ns, limits_.max_connection_idle_ns); }

ConnectionAge::Action ConnectionAge::advance(int64_t now_ns) {
  if (now_ns >= std::min(handshake_ns_, abort_ns_)) return Action::kAbort;
  const bool is_idle = now_ns >= idle_ns_;
  const bool is_old = now_ns >= old_ns_;
  if (is_idle) idle_ns_ = kNever;
  if (is_old) {
    old_ns_ = kNever;
    abort_ns_ = after(now_ns, limits_.max_connection_age_grace_ns);
  }
  return is_idle || is_old ? Action::kLeave : Action::kNone;
}

int64_t ConnectionAge::next_ns() const { return std::min({handshake_ns_, idle_ns_, old_ns_, abort_ns_}); }

}  // namespace npuserve::wire
