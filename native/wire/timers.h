// Instants at which h2 streams want a look: a heap without deletion. What comes up is checked by who asked for it: the
// stream may be gone, or its instant have moved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "wire/call_head.h"

namespace npuserve::wire {

class Timers {
 public:
  enum class Kind : uint8_t { kDeadline, kGrowth, kSent };
  struct Timer {
    int64_t at_ns = 0;
    int32_t stream_id = 0;
    Kind kind = Kind::kDeadline;
  };

  // Throws std::bad_alloc.
  void add(Timer timer);

  // Takes the earliest if it is due.
  std::optional<Timer> pop_due(int64_t now_ns);

  int64_t next_ns() const { return heap_.empty() ? kNever : heap_.front().at_ns; }
  size_t size() const { return heap_.size(); }

  // Drops those that `is_stale` says are, if there are many more than `wanted`: the heap stays within a factor of what
  // is wanted, at a constant cost a timer.
  template <typename IsStale>
  void compact(size_t wanted, IsStale is_stale) {
    if (heap_.size() <= kSlack + 4 * wanted) return;
    std::erase_if(heap_, is_stale);
    rebuild();
  }

 private:
  static constexpr size_t kSlack = 256;

  void rebuild();

  std::vector<Timer> heap_;
};

}  // namespace npuserve::wire
