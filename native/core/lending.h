// Memory that its owner may take back while others use it: they hold loans, and taking it back waits for those.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "core/mutex.h"

namespace npuserve::core {

class LendingTable;

// The use of a range of memory, until it is destroyed; empty if nothing was lent. The table must outlive it.
class [[nodiscard]] Loan {
 public:
  Loan() = default;
  ~Loan();
  Loan(Loan&& other) noexcept;
  Loan& operator=(Loan&& other) noexcept;
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

  explicit operator bool() const noexcept { return table_ != nullptr; }

 private:
  friend class LendingTable;
  Loan(LendingTable& table, const std::byte* start) : table_(&table), start_(start) {}

  LendingTable* table_ = nullptr;
  const std::byte* start_ = nullptr;
};

// Any thread.
class LendingTable {
 public:
  // REQUIRES: no byte of it is in the table.
  void add(std::span<const std::byte> range) EXCLUDES_LOCK(mutex_);

  // Lends memory that lies within one range. Never blocks for long, and takes no lock while there are no ranges.
  Loan lend(std::span<const std::byte> memory) noexcept EXCLUDES_LOCK(mutex_);

  // Lends nothing more of the range that starts there, waits until all its loans are back, and forgets it.
  // REQUIRES: nobody else withdraws it.
  void withdraw(const std::byte* start) EXCLUDES_LOCK(mutex_);

  // Loans ever made.
  uint64_t lent() const noexcept { return lent_.load(std::memory_order_relaxed); }

 private:
  friend class Loan;

  struct Range {
    size_t size_bytes = 0;
    size_t loans = 0;
    bool withdrawn = false;
  };

  void give_back(const std::byte* start) noexcept EXCLUDES_LOCK(mutex_);

  std::atomic<size_t> count_ = 0;  // of the ranges
  std::atomic<uint64_t> lent_ = 0;
  Mutex mutex_;
  ConditionVariable returned_;
  std::map<const std::byte*, Range> ranges_ GUARDED_BY(mutex_);  // by their starts
};

}  // namespace npuserve::core
