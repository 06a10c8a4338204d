// When a connection has to go: never greeted, idle, or old, as gRPC servers count them (grpc proposal A9).
#pragma once

#include <cstdint>

#include "wire/limits.h"

namespace npuserve::wire {

class ConnectionAge {
 public:
  enum class Action { kNone, kLeave, kAbort };

  // The limits must outlive it. id: spreads the ages of connections that were opened together by a tenth either way, as
  // grpc-core does, so that they do not all come back at once.
  ConnectionAge(const Limits& limits, uint64_t id, int64_t now_ns);

  // The client's SETTINGS came.
  void greeted();

  // A call opened, or the last one closed.
  void became_busy();
  void became_idle(int64_t now_ns);

  // kLeave comes once: from then on only the grace counts.
  Action advance(int64_t now_ns);

  int64_t next_ns() const;

 private:
  const Limits& limits_;
  int64_t handshake_ns_;
  int64_t idle_ns_;
  int64_t old_ns_;
  int64_t abort_ns_;
};

}  // namespace npuserve::wire
