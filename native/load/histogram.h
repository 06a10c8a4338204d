// Durations in log-linear buckets, as HdrHistogram has them: a value is off by less than one part in 512, whatever its
// size, and histograms of several processes add up bucket by bucket.
//
// Values below 1024 ns have a bucket each. Above, every power of two has 512 buckets of equal width. 2^42 ns, more than
// an hour, is the last one; what is longer is counted there, and `max_ns` tells it exactly.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace npuserve::load {

class Histogram {
 public:
  static constexpr int kPrecisionBits = 10;
  static constexpr int kValueBits = 42;
  static constexpr size_t kHalf = size_t{1} << (kPrecisionBits - 1);
  static constexpr size_t kBuckets = (kValueBits - kPrecisionBits) * kHalf + 2 * kHalf;

  Histogram() : counts_(kBuckets) {}

  static size_t bucket_of(int64_t value_ns) {
    if (value_ns < 0) return 0;
    const auto value = static_cast<uint64_t>(value_ns);
    if (value >= uint64_t{1} << kValueBits) return kBuckets - 1;
    const int width = static_cast<int>(std::bit_width(value));
    if (width <= kPrecisionBits) return value;
    const int shift = width - kPrecisionBits;
    return static_cast<size_t>(shift) * kHalf + static_cast<size_t>(value >> shift);
  }

  void record(int64_t value_ns);
  void clear();

  std::span<const uint64_t> counts() const { return counts_; }
  uint64_t total() const { return total_; }
  // Zero if there is no value.
  int64_t min_ns() const { return total_ == 0 ? 0 : min_ns_; }
  int64_t max_ns() const { return max_ns_; }
  int64_t sum_ns() const { return sum_ns_; }

 private:
  std::vector<uint64_t> counts_;
  uint64_t total_ = 0;
  int64_t min_ns_ = INT64_MAX;
  int64_t max_ns_ = 0;
  int64_t sum_ns_ = 0;
};

}  // namespace npuserve::load
