// The bound of all bytes that are being received or executed, shared by all connections of an endpoint.
//
// One thread: the loop's. A reservation is released where it was made; what waits is granted by grant_waiting() alone,
// in order of arrival, so that nothing is called back from inside a release.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace npuserve::wire {

class MemoryBudget;

// Bytes of the budget, given back when this is destroyed. The budget must outlive it.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  size_t bytes() const { return bytes_; }

 private:
  friend class MemoryBudget;
  Reservation(MemoryBudget& budget, size_t bytes) : budget_(&budget), bytes_(bytes) {}

  MemoryBudget* budget_ = nullptr;
  size_t bytes_ = 0;
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

  MemoryBudget(size_t limit_bytes, size_t max_waiting) : limit_bytes_(limit_bytes), max_waiting_(max_waiting) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // Grants into `reservation` if there is room and nobody waits; else the waiter waits, or is refused if too many do.
  // REQUIRES: waiter.bytes <= limit.
  Answer reserve(const Waiter& waiter, Reservation& reservation);

  // Takes a waiter out of the queue: its call is gone.
  void forget(uint64_t connection, int32_t stream_id);

  // Reserves for those at the front of the queue that there is room for now, and returns them.
  std::vector<std::pair<Waiter, Reservation>> grant_waiting();

  size_t limit_bytes() const { return limit_bytes_; }
  size_t used_bytes() const { return used_bytes_; }
  size_t waiting() const { return waiting_.size(); }

 private:
  friend class Reservation;

  bool has_room(size_t bytes) const;
  Reservation take(size_t bytes);

  const size_t limit_bytes_;
  const size_t max_waiting_;
  size_t used_bytes_ = 0;
  std::deque<Waiter> waiting_;
};

}  // namespace npuserve::wire
