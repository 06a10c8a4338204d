#include "core/lending.h"

#include <iterator>
#include <utility>

namespace npuserve::core {

Loan::~Loan() {
  if (table_ != nullptr) table_->give_back(start_);
}

Loan::Loan(Loan&& other) noexcept : table_(std::exchange(other.table_, nullptr)), start_(other.start_) {}

Loan& Loan::operator=(Loan&& other) noexcept {
  Loan moved(std::move(other));
  std::swap(table_, moved.table_);
  std::swap(start_, moved.start_);
  return *this;
}

void LendingTable::add(std::span<const std::byte> range) {
  const MutexLock lock(mutex_);
  ranges_.emplace(range.data(), Range{.size_bytes = range.size()});
  count_.store(ranges_.size(), std::memory_order_release);
}

Loan LendingTable::lend(std::span<const std::byte> memory) noexcept {
  if (count_.load(std::memory_order_acquire) == 0) return {};
  const MutexLock lock(mutex_);
  auto found = ranges_.upper_bound(memory.data());
  if (found == ranges_.begin()) return {};
  found = std::prev(found);
  auto& [start, range] = *found;
  const size_t offset = reinterpret_cast<uintptr_t>(memory.data()) - reinterpret_cast<uintptr_t>(start);
  if (range.withdrawn || offset > range.size_bytes || memory.size() > range.size_bytes - offset) return {};
  ++range.loans;
  lent_.fetch_add(1, std::memory_order_relaxed);
  return {*this, start};
}

void LendingTable::withdraw(const std::byte* start) {
  const MutexLock lock(mutex_);
  const auto found = ranges_.find(start);
  if (found == ranges_.end()) return;
  found->second.withdrawn = true;
  while (found->second.loans > 0) returned_.wait(mutex_);
  ranges_.erase(found);
  count_.store(ranges_.size(), std::memory_order_release);
}

void LendingTable::give_back(const std::byte* start) noexcept {
  const MutexLock lock(mutex_);
  Range& range = ranges_.find(start)->second;
  if (--range.loans == 0 && range.withdrawn) returned_.notify_all();
}

}  // namespace npuserve::core
