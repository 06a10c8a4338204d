#include "wire/token_bucket.h"

#include <algorithm>

#include "wire/limits.h"

namespace npuserve::wire {

namespace {

// Billionths in a token. A full bucket, a second's worth, is at most 2^32 of them: 4.3e18, and a second's refill on top
// of it is still within 63 bits.
constexpr int64_t kToken = kSecond;

}  // namespace

TokenBucket::TokenBucket(uint32_t per_second, int64_t now_ns)
    : per_second_(per_second), last_ns_(now_ns), level_(per_second * kToken) {}

bool TokenBucket::take(int64_t now_ns) {
  const int64_t elapsed_ns = std::clamp<int64_t>(now_ns - last_ns_, 0, kSecond);
  level_ = std::min(level_ + elapsed_ns * per_second_, per_second_ * kToken);
  last_ns_ = std::max(last_ns_, now_ns);
  if (level_ < kToken) return false;
  level_ -= kToken;
  return true;
}

}  // namespace npuserve::wire
