#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <limits>

#include "wire/limits.h"
#include "wire/token_bucket.h"

namespace wire = npuserve::wire;
using wire::kMillisecond;
using wire::kSecond;

namespace {

int taken_at(wire::TokenBucket& bucket, int64_t now_ns, int wanted) {
  int taken = 0;
  for (int i = 0; i < wanted; ++i) taken += bucket.take(now_ns) ? 1 : 0;
  return taken;
}

}  // namespace

TEST_CASE("a full bucket holds a second's worth") {
  for (const uint32_t per_second : {1U, 3U, 7U, 1000U}) {
    wire::TokenBucket bucket(per_second, 5 * kSecond);
    CHECK(taken_at(bucket, 5 * kSecond, 2000) == static_cast<int>(per_second));
  }
}

TEST_CASE("tokens come back evenly, and none is lost to rounding") {
  wire::TokenBucket bucket(3, 0);
  REQUIRE(taken_at(bucket, 0, 10) == 3);
  CHECK_FALSE(bucket.take(kSecond / 3));  // 333,333,333 ns: a third of a second is longer
  CHECK(bucket.take(kSecond / 3 + 1));
  int taken = 0;
  for (int64_t now_ns = kSecond / 3 + 1; now_ns < 101 * kSecond; now_ns += kMillisecond) {
    taken += bucket.take(now_ns) ? 1 : 0;
  }
  CHECK(taken == 3 * 101 - 2);  // what 101 seconds bring, less the one above and the one that is still due
}

TEST_CASE("a long silence fills the bucket and no more") {
  wire::TokenBucket bucket(10, 0);
  REQUIRE(taken_at(bucket, 0, 100) == 10);
  CHECK(taken_at(bucket, 3600 * kSecond, 100) == 10);
  CHECK(taken_at(bucket, std::numeric_limits<int64_t>::max(), 100) == 10);
}

TEST_CASE("time that stands still or runs back brings nothing") {
  wire::TokenBucket bucket(2, 10 * kSecond);
  REQUIRE(taken_at(bucket, 10 * kSecond, 5) == 2);
  CHECK_FALSE(bucket.take(10 * kSecond));
  CHECK_FALSE(bucket.take(9 * kSecond));
  CHECK_FALSE(bucket.take(10 * kSecond));
  CHECK(bucket.take(10 * kSecond + kSecond / 2));
}

TEST_CASE("the largest rate does not overflow") {
  wire::TokenBucket bucket(std::numeric_limits<uint32_t>::max(), 0);
  CHECK(taken_at(bucket, 0, 1000) == 1000);
  CHECK(taken_at(bucket, kSecond, 1000) == 1000);
}
