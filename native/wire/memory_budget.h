// The bound of all bytes that are being received or executed, shared by all connections of an endpoint.
//
// One thread: the loop's. A reservation is released where it was made; what waits is granted by grant_waiting() alone,
// in order of arrival, so that nothing is called back from inside a release.
//
// Small messages have a lane of their own: what they need is no more than clients may send unasked anyway, and a large
// message that waits, or that is announced and never sent, must not keep them waiting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace npuserve::wire {

// Bytes of the budget, given back when this is destroyed. The budget must outlive it.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept
      : used_bytes_(std::exchange(other.used_bytes_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  size_t bytes() const { return bytes_; }

 private:
  friend class MemoryBudget;
  Reservation(size_t& used_bytes, size_t bytes) : used_bytes_(&used_bytes), bytes_(bytes) { used_bytes += bytes; }

  size_t* used_bytes_ = nullptr;  // of its lane
  size_t bytes_ = 0;
};

// The lane of reservations of at most `largest_bytes`; once it is full they go with the others.
struct SmallLane {
  size_t largest_bytes = 0;
  size_t limit_bytes = 0;
};

class MemoryBudget {
 public:
  // A call that waits: whose it is, and how much it wants.
  struct Waiter {
    uint64_t connection = 0;
    int32_t stream_id = 0;
    size_t bytes = 0;
  };
  enum class Answer { kGranted, kWaiting, kRefused };

  // limit_bytes: of what is not in the lane of small ones.
  MemoryBudget(size_t limit_bytes, size_t max_waiting, SmallLane small = {})
      : limit_bytes_(limit_bytes), max_waiting_(max_waiting), small_(small) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // Grants into `reservation` if there is room and nobody waits; else the waiter waits, or is refused if too many do.
  // REQUIRES: waiter.bytes <= limit.
  Answer reserve(const Waiter& waiter, Reservation& reservation);

  // What a message has become goes ahead of those that wait, which may wait for its call to end. False if there is no
  // room: it does not wait.
  bool try_reserve(size_t bytes, Reservation& reservation);

  // Counts what a message has become, though there may be no room: others then wait the longer.
  Reservation charge(size_t bytes) { return {used_bytes_, bytes}; }

  // Takes a waiter out of the queue: its call is gone.
  void forget(uint64_t connection, int32_t stream_id);

  // Reserves for those at the front of the queue that there is room for now, and returns them.
  std::vector<std::pair<Waiter, Reservation>> grant_waiting();

  size_t limit_bytes() const { return limit_bytes_; }
  size_t used_bytes() const { return used_bytes_ + small_used_bytes_; }

  // What could be reserved at once if nobody waited.
  size_t free_bytes() const { return used_bytes_ < limit_bytes_ ? limit_bytes_ - used_bytes_ : 0; }

  // The most that try_reserve() would grant now.
  size_t most_at_once() const;

  size_t waiting() const { return waiting_.size(); }

 private:
  bool has_small_room(size_t bytes) const;

  const size_t limit_bytes_;
  const size_t max_waiting_;
  const SmallLane small_;
  size_t used_bytes_ = 0;
  size_t small_used_bytes_ = 0;
  std::deque<Waiter> waiting_;
};

}  // namespace npuserve::wire
