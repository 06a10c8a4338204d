// Whether the oldest request of a tier has been passed over by as many batches as it may be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace npuserve::batching {

// Of each batch that left the oldest request behind, the sequence number of its own oldest counts: such a batch passed
// over those that are older. Only the largest `limit` numbers matter. If the oldest request is before all of them it
// is due, as any request that was passed over that often would make it. Then no batch passes over it again.
class Overtaking {
 public:
  // limit: batches; at least 0.
  explicit Overtaking(size_t limit) : limit_(limit) {}

  // A batch left the tier's oldest request behind; the oldest that it took has this number.
  void passed(uint64_t oldest_taken) {
    if (limit_ == 0) return;
    if (numbers_.size() == limit_) {
      if (numbers_.front() >= oldest_taken) return;
      std::ranges::pop_heap(numbers_, std::greater());
      numbers_.pop_back();
    }
    numbers_.push_back(oldest_taken);
    std::ranges::push_heap(numbers_, std::greater());
  }

  // REQUIRES: the number of the tier's oldest request.
  bool is_due(uint64_t oldest) const { return numbers_.size() == limit_ && (limit_ == 0 || numbers_.front() > oldest); }

 private:
  size_t limit_;
  std::vector<uint64_t> numbers_;  // a heap, the smallest first
};

}  // namespace npuserve::batching
