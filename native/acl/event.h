// A mark in a stream that a host thread can wait for; recorded again and again.
//
// Threads: any with the context current; recording beside a wait of the same event is the caller's to prevent.
#pragma once

#include "acl/owned.h"
#include "acl/stream.h"

namespace npuserve::acl {

class Event {
 public:
  // Throws Error.
  explicit Event(Runtime& runtime);

  // Enqueues the mark; forgets the one before. Throws Error.
  void record(const Stream& stream) const;
  // Blocks until the stream passes the last mark; at once if there is none. Throws Error, also for work before the mark
  // that failed.
  void synchronize() const;

 private:
  Owned<void*> event_;
};

}  // namespace npuserve::acl
