#include <doctest/doctest.h>

#include <cstdint>

#include "load/histogram.h"

namespace npuserve::load {
namespace {

TEST_CASE("a value below 1024 ns has a bucket of its own") {
  for (int64_t value = 0; value < 1024; ++value) CHECK(Histogram::bucket_of(value) == static_cast<size_t>(value));
}

TEST_CASE("buckets follow each other without a gap, and each is narrower than a 512th of its values") {
  size_t before = Histogram::bucket_of(1023);
  for (int64_t value = 1024; value < int64_t{1} << 22; ++value) {
    const size_t bucket = Histogram::bucket_of(value);
    REQUIRE((bucket == before || bucket == before + 1));
    before = bucket;
    REQUIRE(Histogram::bucket_of(value + value / 512 + 1) > bucket);
  }
}

TEST_CASE("what is too long to be told apart, or goes backwards in time, is counted at the ends") {
  CHECK(Histogram::bucket_of((int64_t{1} << 42) - 1) == Histogram::kBuckets - 1);
  CHECK(Histogram::bucket_of(INT64_MAX) == Histogram::kBuckets - 1);
  CHECK(Histogram::bucket_of(-5) == 0);
}

TEST_CASE("extremes and sum are exact, and gone when it is cleared") {
  Histogram histogram;
  CHECK(histogram.min_ns() == 0);
  for (const int64_t value : {5'000'001, 3, 70'000'000}) histogram.record(value);
  CHECK(histogram.total() == 3);
  CHECK(histogram.min_ns() == 3);
  CHECK(histogram.max_ns() == 70'000'000);
  CHECK(histogram.sum_ns() == 75'000'004);
  CHECK(histogram.counts()[Histogram::bucket_of(5'000'001)] == 1);
  histogram.clear();
  CHECK(histogram.total() == 0);
  CHECK(histogram.max_ns() == 0);
  CHECK(histogram.counts()[3] == 0);
}

}  // namespace
}  // namespace npuserve::load
