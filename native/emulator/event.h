// Events: points in a stream's work that others wait for.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "acl/abi.h"
#include "emulator/handles.h"
#include "emulator/signal.h"
#include "emulator/stream.h"

namespace emulator {

// One record of an event: the point in the stream's queue. Recording again makes a new one and leaves waiters on the
// old.
struct Capture {
  std::weak_ptr<Stream> stream;
  std::uint64_t ticket = 0;               // of the record in its stream
  Signal reached;                         // also when the record was dropped
  std::atomic<std::uint64_t> time_us{0};  // since the device's boot; 0: not reached
};

class Event {
 public:
  // How it was created, which says what it may be used for.
  enum class Kind { plain, with_flag, extended };

  Event(Kind kind, std::uint32_t flags, int device) : kind_(kind), flags_(flags), device_(device) {}

  Kind kind() const { return kind_; }
  int device() const { return device_; }
  bool has(std::uint32_t flag) const { return (flags_ & flag) != 0; }
  bool has_timeline() const { return kind_ == Kind::plain || has(ACL_EVENT_TIME_LINE); }
  bool can_be_waited_for() const { return kind_ != Kind::with_flag || has(ACL_EVENT_SYNC); }

  void record(const std::shared_ptr<Stream>& stream);

  // Forgets the record.
  void reset();

  // nullptr: never recorded, or reset.
  std::shared_ptr<Capture> latest() const;

 private:
  const Kind kind_;
  const std::uint32_t flags_;
  const int device_;
  mutable std::mutex mutex_;
  std::shared_ptr<Capture> latest_;  // guarded by mutex_
};

HandleTable<Event>& events();

}  // namespace emulator
