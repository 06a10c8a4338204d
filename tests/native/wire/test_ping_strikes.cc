#include <doctest/doctest.h>

#include "wire/limits.h"
#include "wire/ping_strikes.h"

namespace wire = npuserve::wire;
using wire::kSecond;

namespace {

constexpr int64_t kStart = 1000 * kSecond;

wire::Limits limits() {
  wire::Limits all;
  all.min_recv_ping_interval_ns = 300 * kSecond;
  all.max_ping_strikes = 2;
  return all;
}

}  // namespace

TEST_CASE("the first ping is never a strike") {
  wire::Limits strict = limits();
  strict.max_ping_strikes = 1;
  wire::PingStrikes strikes(strict);
  CHECK_FALSE(strikes.is_abuse(0, true));
  CHECK_FALSE(strikes.is_abuse(1, false));
  CHECK(strikes.is_abuse(2, false));
}

TEST_CASE("pings at the allowed interval are never abuse") {
  const wire::Limits allowed = limits();
  wire::PingStrikes strikes(allowed);
  for (int64_t i = 0; i < 100; ++i) CHECK_FALSE(strikes.is_abuse(kStart + i * 300 * kSecond, false));
}

TEST_CASE("so many early pings are borne, and one more is abuse") {
  const wire::Limits allowed = limits();
  wire::PingStrikes strikes(allowed);
  CHECK_FALSE(strikes.is_abuse(kStart, false));
  CHECK_FALSE(strikes.is_abuse(kStart + 1 * kSecond, false));
  CHECK_FALSE(strikes.is_abuse(kStart + 2 * kSecond, false));
  CHECK(strikes.is_abuse(kStart + 3 * kSecond, false));
}

TEST_CASE("the interval counts from the last ping, early or not") {
  const wire::Limits allowed = limits();
  wire::PingStrikes strikes(allowed);
  // 299 s apart: each is early, though they come half as often as every 150 s.
  CHECK_FALSE(strikes.is_abuse(kStart, false));
  CHECK_FALSE(strikes.is_abuse(kStart + 299 * kSecond, false));
  CHECK_FALSE(strikes.is_abuse(kStart + 598 * kSecond, false));
  CHECK(strikes.is_abuse(kStart + 897 * kSecond, false));
}

TEST_CASE("patience alone does not forgive strikes") {
  const wire::Limits allowed = limits();
  wire::PingStrikes strikes(allowed);
  CHECK_FALSE(strikes.is_abuse(kStart, false));
  CHECK_FALSE(strikes.is_abuse(kStart + 1, false));
  CHECK_FALSE(strikes.is_abuse(kStart + 2, false));
  CHECK_FALSE(strikes.is_abuse(kStart + 1000 * kSecond, false));
  CHECK(strikes.is_abuse(kStart + 1001 * kSecond, false));
}

TEST_CASE("what we send forgives all strikes, and the next ping is a first one again") {
  const wire::Limits allowed = limits();
  wire::PingStrikes strikes(allowed);
  for (int64_t i = 0; i < 100; ++i) {
    CHECK_FALSE(strikes.is_abuse(kStart + 3 * i, false));
    CHECK_FALSE(strikes.is_abuse(kStart + 3 * i + 1, false));
    CHECK_FALSE(strikes.is_abuse(kStart + 3 * i + 2, false));
    strikes.forgive();
  }
}

TEST_CASE("without a call two hours must pass") {
  const wire::Limits allowed = limits();
  wire::PingStrikes strikes(allowed);
  CHECK_FALSE(strikes.is_abuse(kStart, true));
  CHECK_FALSE(strikes.is_abuse(kStart + 7200 * kSecond, true));
  CHECK_FALSE(strikes.is_abuse(kStart + 7200 * kSecond + 400 * kSecond, true));
  CHECK_FALSE(strikes.is_abuse(kStart + 7200 * kSecond + 800 * kSecond, true));
  CHECK(strikes.is_abuse(kStart + 7200 * kSecond + 1200 * kSecond, true));
}

TEST_CASE("limits of zero allow every ping") {
  wire::Limits no_strikes = limits();
  no_strikes.max_ping_strikes = 0;
  wire::PingStrikes any_number(no_strikes);
  wire::Limits no_interval = limits();
  no_interval.min_recv_ping_interval_ns = 0;
  wire::PingStrikes any_time(no_interval);
  for (int64_t i = 0; i < 100; ++i) {
    CHECK_FALSE(any_number.is_abuse(kStart + i, false));
    CHECK_FALSE(any_time.is_abuse(kStart, false));
  }
}
