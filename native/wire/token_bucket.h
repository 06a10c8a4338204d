// So many a second, with a burst of a second's worth: the bound of resets (CVE-2023-44487).
#pragma once

#include <cstdint>

namespace npuserve::wire {

class TokenBucket {
 public:
  // REQUIRES: per_second >= 1.
  TokenBucket(uint32_t per_second, int64_t now_ns);

  // False if the bucket is empty.
  bool take(int64_t now_ns);

 private:
  int64_t per_second_;
  int64_t last_ns_;
  int64_t level_;  // in billionths of a token, of which a nanosecond brings per_second: nothing is rounded
};

}  // namespace npuserve::wire
