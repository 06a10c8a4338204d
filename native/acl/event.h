// A mark in a stream that a host thread can wait for; recorded again and again.
//
// Threads: any with the context current; recording beside a wait of the same event is the caller's to prevent.
#pragma once

#include <cstdint>

#include "acl/owned.h"
#include "acl/stream.h"

namespace npuserve::acl {

class Event {
 public:
  // timed: elapsed_ns() may be asked, which costs the device a time stamp a record. Throws Error.
  explicit Event(Runtime& runtime, bool timed = false);

  // Enqueues the mark; forgets the one before. Throws Error.
  void record(const Stream& stream) const;
  // Blocks until the stream passes the last mark; at once if there is none. Throws Error, also for work before the mark
  // that failed.
  void synchronize() const;

  // Between the last marks of two timed events of one stream, which must have passed both; the driver counts in
  // microseconds. REQUIRES: can_time(). Throws Error.
  static int64_t elapsed_ns(const Event& start, const Event& end);
  static bool can_time(const Runtime& runtime);

 private:
  Owned<void*> event_;
};

}  // namespace npuserve::acl
