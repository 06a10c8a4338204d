#include "wire/keepalive.h"

#include <algorithm>

#include "wire/call_head.h"
#include "wire/instant.h"

namespace npuserve::wire {

Keepalive::Keepalive(const Limits& limits, int64_t now_ns)
    : limits_(limits), ping_due_ns_(after(now_ns, limits.keepalive_time_ns)), dead_ns_(kNever) {}

void Keepalive::heard(int64_t now_ns) {
  ping_due_ns_ = after(now_ns, limits_.keepalive_time_ns);
  dead_ns_ = kNever;
}

bool Keepalive::may_ping(bool has_calls) const {
  if (!has_calls && !limits_.keepalive_permit_without_calls) return false;
  return limits_.max_pings_without_data == 0 || pings_without_data_ < limits_.max_pings_without_data;
}

Keepalive::Action Keepalive::advance(int64_t now_ns, bool has_calls) {
  if (now_ns >= dead_ns_) return Action::kDead;
  if (now_ns < ping_due_ns_) return Action::kNone;
  if (!may_ping(has_calls)) return Action::kNone;
  ping_due_ns_ = after(now_ns, limits_.keepalive_time_ns);
  if (dead_ns_ == kNever) dead_ns_ = after(now_ns, limits_.keepalive_timeout_ns);
  ++pings_without_data_;
  return Action::kPing;
}

int64_t Keepalive::next_ns(bool has_calls) const {
  return may_ping(has_calls) ? std::min(ping_due_ns_, dead_ns_) : dead_ns_;
}

}  // namespace npuserve::wire
