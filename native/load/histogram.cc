#include "load/histogram.h"

#include <algorithm>

namespace npuserve::load {

void Histogram::record(int64_t value_ns) {
  ++counts_[bucket_of(value_ns)];
  ++total_;
  min_ns_ = std::min(min_ns_, value_ns);
  max_ns_ = std::max(max_ns_, value_ns);
  sum_ns_ += value_ns;
}

void Histogram::clear() {
  std::ranges::fill(counts_, 0);
  total_ = 0;
  min_ns_ = INT64_MAX;
  max_ns_ = 0;
  sum_ns_ = 0;
}

}  // namespace npuserve::load
