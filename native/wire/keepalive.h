// When to ping a silent client, and when to take it for dead (grpc proposals A8 and A9).
#pragma once

#include <cstdint>

#include "wire/limits.h"

namespace npuserve::wire {

class Keepalive {
 public:
  enum class Action { kNone, kPing, kDead };

  // The limits must outlive it.
  Keepalive(const Limits& limits, int64_t now_ns);

  // Bytes came, whatever they are: the client lives.
  void heard(int64_t now_ns);

  // Headers or data went out, which allows more pings.
  void sent_data() { pings_without_data_ = 0; }

  // What is due. The ping is taken for sent.
  Action advance(int64_t now_ns, bool has_calls);

  int64_t next_ns(bool has_calls) const;

 private:
  bool may_ping(bool has_calls) const;

  const Limits& limits_;
  int64_t ping_due_ns_;
  int64_t dead_ns_;
  int pings_without_data_ = 0;
};

}  // namespace npuserve::wire
