// What a connection tells its shell. Events are values, taken one after another; nothing is called back.
#pragma once

#include <cstdint>

#include "wire/buffer.h"
#include "wire/memory_budget.h"

namespace npuserve::wire {

// A received message, decompressed, and its part of the budget. Destroyed on the loop's thread.
struct Message {
  Buffer bytes;
  Reservation reservation;
};

enum class EventKind {
  kCallStarted,      // the head is there; exactly once a call, before all others
  kMessageReceived,  // one whole message
  kHalfClosed,       // the client has sent its last message; at most once
  kCallCancelled,  // the client reset it or the connection is gone: nothing more can be said. The last one, if it comes
  kCallExpired,    // the deadline passed, and the client has been told so. The last one, if it comes
};

struct Event {
  EventKind kind = EventKind::kCallStarted;
  int32_t stream_id = 0;
  Message message{};  // kMessageReceived only
};

}  // namespace npuserve::wire
