// What the first requests of a queue would make as a batch of equal shapes, gathered one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "batching/policy.h"

namespace npuserve::batching {

// Requests are added in the order in which they are served, until it is closed. Not synchronized.
class LeadingBatch {
 public:
  // Keeps the reference.
  explicit LeadingBatch(const PolicyOptions& options) : options_(options) {}

  void clear();

  // REQUIRES: not closed.
  void add(const Waiting& request);

  // No request that follows makes a difference.
  bool is_closed() const { return blocked_ || (requests_ > 0 && !options_.dynamic_batching); }

  size_t requests() const { return requests_; }
  int64_t rows() const { return rows_; }

  // The first arrival; the first request may be a more urgent one that came later.
  int64_t oldest_ns() const { return oldest_ns_; }

  // The most rows that it can have, and the largest of the preferred sizes up to that; it itself if none is.
  int64_t most() const { return most_; }
  int64_t largest_preferred() const { return largest_preferred_; }

  // Requests up to the last preferred size; 0: none was reached.
  size_t best() const { return best_; }

  // best() is where the next request would have passed every preferred size.
  bool is_saturated() const { return saturated_; }

  // The next request cannot join: too many rows, or another row shape.
  bool is_blocked() const { return blocked_; }

 private:
  void begin(const Waiting& first);
  bool is_preferred(int64_t rows) const;

  const PolicyOptions& options_;
  std::vector<int64_t> row_shape_;
  size_t requests_ = 0;
  int64_t rows_ = 0;
  int64_t oldest_ns_ = 0;
  int64_t most_ = 0;
  int64_t largest_preferred_ = 0;
  size_t best_ = 0;
  bool saturated_ = false;
  bool blocked_ = false;
};

}  // namespace npuserve::batching
