#include "wire/memory_budget.h"

#include <algorithm>

namespace npuserve::wire {

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this == &other) return *this;
  if (used_bytes_) *used_bytes_ -= bytes_;
  used_bytes_ = std::exchange(other.used_bytes_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

Reservation::~Reservation() {
  if (used_bytes_) *used_bytes_ -= bytes_;
}

bool MemoryBudget::has_small_room(size_t bytes) const {
  return bytes <= small_.largest_bytes && bytes <= small_.limit_bytes - small_used_bytes_;
}

size_t MemoryBudget::most_at_once() const {
  return std::max(free_bytes(), std::min(small_.largest_bytes, small_.limit_bytes - small_used_bytes_));
}

bool MemoryBudget::try_reserve(size_t bytes, Reservation& reservation) {
  if (bytes > most_at_once()) return false;
  reservation = Reservation(has_small_room(bytes) ? small_used_bytes_ : used_bytes_, bytes);
  return true;
}

MemoryBudget::Answer MemoryBudget::reserve(const Waiter& waiter, Reservation& reservation) {
  // Who came first goes first, also if what came later were small enough: a large message must not starve.
  const bool is_first = waiting_.empty() || has_small_room(waiter.bytes);
  if (is_first && try_reserve(waiter.bytes, reservation)) return Answer::kGranted;
  if (waiting_.size() >= max_waiting_) return Answer::kRefused;
  waiting_.push_back(waiter);
  return Answer::kWaiting;
}

void MemoryBudget::forget(uint64_t connection, int32_t stream_id) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiter& waiter) {
    return waiter.connection == connection && waiter.stream_id == stream_id;
  });
  if (found != waiting_.end()) waiting_.erase(found);
}

std::vector<std::pair<MemoryBudget::Waiter, Reservation>> MemoryBudget::grant_waiting() {
  std::vector<std::pair<Waiter, Reservation>> granted;
  while (!waiting_.empty() && waiting_.front().bytes <= free_bytes()) {
    granted.emplace_back(waiting_.front(), Reservation(used_bytes_, waiting_.front().bytes));
    waiting_.pop_front();
  }
  return granted;
}

}  // namespace npuserve::wire
