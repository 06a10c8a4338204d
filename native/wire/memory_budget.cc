#include "wire/memory_budget.h"

#include <algorithm>

namespace npuserve::wire {

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this == &other) return *this;
  if (budget_) budget_->used_bytes_ -= bytes_;
  budget_ = std::exchange(other.budget_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

Reservation::~Reservation() {
  if (budget_) budget_->used_bytes_ -= bytes_;
}

bool MemoryBudget::has_room(size_t bytes) const { return bytes <= limit_bytes_ - used_bytes_; }

Reservation MemoryBudget::take(size_t bytes) {
  used_bytes_ += bytes;
  return {*this, bytes};
}

MemoryBudget::Answer MemoryBudget::reserve(const Waiter& waiter, Reservation& reservation) {
  // Who came first goes first, also if what came later were small enough: a large message must not starve.
  if (waiting_.empty() && has_room(waiter.bytes)) {
    reservation = take(waiter.bytes);
    return Answer::kGranted;
  }
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
  while (!waiting_.empty() && has_room(waiting_.front().bytes)) {
    granted.emplace_back(waiting_.front(), take(waiting_.front().bytes));
    waiting_.pop_front();
  }
  return granted;
}

}  // namespace npuserve::wire
