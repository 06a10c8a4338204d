#include "batching/leading_batch.h"

#include <algorithm>

namespace npuserve::batching {

void LeadingBatch::clear() {
  requests_ = 0;
  rows_ = 0;
  best_ = 0;
  saturated_ = false;
  blocked_ = false;
}

void LeadingBatch::add(const Waiting& request) {
  if (requests_ == 0) begin(request);
  const int64_t rows = rows_ + request.rows;
  if (requests_ > 0) {
    if (rows > largest_preferred_ && best_ == 0) {
      best_ = requests_;
      saturated_ = true;
    }
    blocked_ = rows > most_ || request.row_shape != row_shape_;
    if (blocked_) return;
  }
  ++requests_;
  rows_ = rows;
  oldest_ns_ = std::min(oldest_ns_, request.arrival_ns);
  if (is_preferred(rows)) best_ = requests_;
}

void LeadingBatch::begin(const Waiting& first) {
  row_shape_ = first.row_shape;
  oldest_ns_ = first.arrival_ns;
  most_ = std::min(std::max<int64_t>(1, options_.max_batch_size), first.capacity_rows);
  largest_preferred_ = 0;
  for (const int64_t size : options_.preferred_batch_sizes) {
    if (size <= most_) largest_preferred_ = std::max(largest_preferred_, size);
  }
  if (largest_preferred_ == 0) largest_preferred_ = most_;
}

bool LeadingBatch::is_preferred(int64_t rows) const {
  return rows == largest_preferred_ || (rows <= most_ && std::ranges::count(options_.preferred_batch_sizes, rows) > 0);
}

}  // namespace npuserve::batching
