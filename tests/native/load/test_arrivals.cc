#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "load/arrivals.h"

namespace npuserve::load {
namespace {

constexpr int64_t kStartNs = 7'000'000'000;

std::vector<int64_t> first(Arrivals arrivals, int count) {
  std::vector<int64_t> due;
  for (int i = 0; i < count; ++i, arrivals.advance()) due.push_back(arrivals.due_ns() - kStartNs);
  return due;
}

TEST_CASE("a constant rate is evenly spaced, and does not drift") {
  Arrivals arrivals({.per_second = 3}, kStartNs);
  CHECK(first(arrivals, 4) == std::vector<int64_t>{0, 333'333'333, 666'666'666, 1'000'000'000});
  for (int i = 0; i < 3'000'000; ++i) arrivals.advance();
  CHECK(arrivals.due_ns() == kStartNs + 1'000'000 * int64_t{1'000'000'000});
}

TEST_CASE("processes that share a constant rate take turns") {
  CHECK(first(Arrivals({.per_second = 1000, .part = 0, .parts = 2}, kStartNs), 3) ==
        std::vector<int64_t>{0, 2'000'000, 4'000'000});
  CHECK(first(Arrivals({.per_second = 1000, .part = 1, .parts = 2}, kStartNs), 3) ==
        std::vector<int64_t>{1'000'000, 3'000'000, 5'000'000});
}

TEST_CASE("gaps of a Poisson process have the mean and the spread of an exponential distribution") {
  constexpr int kCount = 200'000;
  const auto due = first(Arrivals({.per_second = 2000, .poisson = true, .seed = 5}, kStartNs), kCount);
  double sum = 0;
  double squares = 0;
  int64_t before = 0;
  for (const int64_t at : due) {
    const auto gap = static_cast<double>(at - before);
    before = at;
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / kCount;
  CHECK(mean == doctest::Approx(500'000).epsilon(0.02));
  CHECK(std::sqrt(squares / kCount - mean * mean) == doctest::Approx(500'000).epsilon(0.02));
}

TEST_CASE("a seed repeats a Poisson process; another seed, or another process, has another one") {
  const ArrivalOptions options{.per_second = 100, .poisson = true, .seed = 1};
  ArrivalOptions other_seed = options;
  other_seed.seed = 2;
  ArrivalOptions other_part = options;
  other_part.part = 1;
  CHECK(first(Arrivals(options, kStartNs), 5) == first(Arrivals(options, kStartNs), 5));
  CHECK(first(Arrivals(options, kStartNs), 5) != first(Arrivals(other_seed, kStartNs), 5));
  CHECK(first(Arrivals(options, kStartNs), 5) != first(Arrivals(other_part, kStartNs), 5));
}

}  // namespace
}  // namespace npuserve::load
