// Whether the oldest request of a tier has been passed over by as many batches as it may be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace npuserve::batching {

// A batch passes over the requests that are older than all that it takes. So of each batch the sequence number of its
// oldest request counts, and only the largest `limit` of them matter: a request before all of these was passed over
// that often. The tier's oldest then was too, and is due; while batches begin with the oldest they pass over nobody.
class Overtaking {
 public:
  // limit: batches; at least 0.
  explicit Overtaking(size_t limit) : limit_(limit) {}

  // A batch was made of the tier; the oldest request that it took has this number.
  void took(uint64_t oldest_taken) {
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
