#include <doctest/doctest.h>

#include <utility>

#include "wire/memory_budget.h"

namespace wire = npuserve::wire;
using Answer = wire::MemoryBudget::Answer;

TEST_CASE("a reservation takes its bytes while it lives") {
  wire::MemoryBudget budget(100, 10);
  {
    wire::Reservation reservation;
    CHECK(reservation.bytes() == 0);
    CHECK(budget.reserve({1, 1, 60}, reservation) == Answer::kGranted);
    CHECK(reservation.bytes() == 60);
    CHECK(budget.used_bytes() == 60);
  }
  CHECK(budget.used_bytes() == 0);
}

TEST_CASE("all of the limit may be used, and not a byte more") {
  wire::MemoryBudget budget(100, 10);
  wire::Reservation all;
  wire::Reservation none;
  wire::Reservation more;
  CHECK(budget.reserve({1, 1, 100}, all) == Answer::kGranted);
  CHECK(budget.reserve({1, 3, 0}, none) == Answer::kGranted);
  CHECK(budget.reserve({1, 5, 1}, more) == Answer::kWaiting);
  CHECK(more.bytes() == 0);
  CHECK(budget.used_bytes() == 100);
}

TEST_CASE("what a message has become goes ahead of who waits, if there is room") {
  wire::MemoryBudget budget(100, 10, {.largest_bytes = 20, .limit_bytes = 30});
  wire::Reservation held;
  wire::Reservation none;
  wire::Reservation grown;
  wire::Reservation small;
  REQUIRE(budget.reserve({1, 1, 60}, held) == Answer::kGranted);
  REQUIRE(budget.reserve({1, 3, 50}, none) == Answer::kWaiting);
  CHECK(budget.most_at_once() == 40);
  CHECK_FALSE(budget.try_reserve(41, none));
  CHECK(budget.try_reserve(40, grown));
  CHECK(budget.most_at_once() == 20);
  CHECK(budget.try_reserve(20, small));
  CHECK(budget.most_at_once() == 10);
  CHECK_FALSE(budget.try_reserve(11, none));
  CHECK(budget.used_bytes() == 120);
}

TEST_CASE("a reservation moves without being counted twice") {
  wire::MemoryBudget budget(100, 10);
  wire::Reservation first;
  wire::Reservation second;
  REQUIRE(budget.reserve({1, 1, 40}, first) == Answer::kGranted);
  REQUIRE(budget.reserve({1, 3, 50}, second) == Answer::kGranted);
  wire::Reservation moved(std::move(first));
  CHECK(moved.bytes() == 40);
  CHECK(budget.used_bytes() == 90);
  moved = std::move(second);  // what it held is given back
  CHECK(moved.bytes() == 50);
  CHECK(budget.used_bytes() == 50);
  wire::Reservation& same = moved;
  moved = std::move(same);
  CHECK(moved.bytes() == 50);
  moved = wire::Reservation();
  CHECK(budget.used_bytes() == 0);
}

TEST_CASE("reserving again into a reservation gives back what it held") {
  wire::MemoryBudget budget(100, 10);
  wire::Reservation reservation;
  REQUIRE(budget.reserve({1, 1, 40}, reservation) == Answer::kGranted);
  REQUIRE(budget.reserve({1, 1, 30}, reservation) == Answer::kGranted);
  CHECK(budget.used_bytes() == 30);
}

TEST_CASE("those who wait are granted in order of arrival") {
  wire::MemoryBudget budget(100, 10);
  wire::Reservation first;
  wire::Reservation waiting;
  REQUIRE(budget.reserve({1, 1, 90}, first) == Answer::kGranted);
  REQUIRE(budget.reserve({1, 3, 70}, waiting) == Answer::kWaiting);
  REQUIRE(budget.reserve({2, 1, 30}, waiting) == Answer::kWaiting);
  REQUIRE(budget.reserve({2, 3, 40}, waiting) == Answer::kWaiting);
  CHECK(budget.waiting() == 3);
  CHECK(budget.grant_waiting().empty());

  first = wire::Reservation();
  CHECK(budget.waiting() == 3);  // releasing alone grants nothing
  const auto granted = budget.grant_waiting();
  REQUIRE(granted.size() == 2);
  CHECK(granted[0].first.connection == 1);
  CHECK(granted[0].first.stream_id == 3);
  CHECK(granted[0].second.bytes() == 70);
  CHECK(granted[1].first.connection == 2);
  CHECK(granted[1].first.stream_id == 1);
  CHECK(budget.used_bytes() == 100);
  CHECK(budget.waiting() == 1);
}

TEST_CASE("a small message does not pass a large one that waits") {
  wire::MemoryBudget budget(100, 10);
  wire::Reservation first;
  wire::Reservation waiting;
  REQUIRE(budget.reserve({1, 1, 50}, first) == Answer::kGranted);
  REQUIRE(budget.reserve({1, 3, 60}, waiting) == Answer::kWaiting);
  CHECK(budget.reserve({1, 5, 10}, waiting) == Answer::kWaiting);
  CHECK(budget.grant_waiting().empty());
  CHECK(budget.used_bytes() == 50);
}

TEST_CASE("small messages have a lane of their own, and wait with the others only once it is full") {
  wire::MemoryBudget budget(100, 10, {.largest_bytes = 10, .limit_bytes = 25});
  wire::Reservation large;
  wire::Reservation waiting;
  wire::Reservation small[3];
  REQUIRE(budget.reserve({1, 1, 100}, large) == Answer::kGranted);
  REQUIRE(budget.reserve({1, 3, 11}, waiting) == Answer::kWaiting);
  CHECK(budget.reserve({2, 1, 10}, small[0]) == Answer::kGranted);
  CHECK(budget.reserve({2, 3, 10}, small[1]) == Answer::kGranted);
  CHECK(budget.used_bytes() == 120);
  CHECK(budget.reserve({2, 5, 10}, small[2]) == Answer::kWaiting);
  large = wire::Reservation();
  CHECK(budget.grant_waiting().size() == 2);
  small[0] = wire::Reservation();
  small[1] = wire::Reservation();
  CHECK(budget.used_bytes() == 0);
}

TEST_CASE("what a message has become is counted beyond the limit, and the others wait for it") {
  wire::MemoryBudget budget(100, 10);
  wire::Reservation waiting;
  wire::Reservation become = budget.charge(150);
  CHECK(budget.used_bytes() == 150);
  CHECK(budget.free_bytes() == 0);
  CHECK(budget.reserve({1, 1, 1}, waiting) == Answer::kWaiting);
  become = wire::Reservation();
  CHECK(budget.grant_waiting().size() == 1);
}

TEST_CASE("one too many in the queue is refused") {
  wire::MemoryBudget budget(10, 2);
  wire::Reservation first;
  wire::Reservation waiting;
  REQUIRE(budget.reserve({1, 1, 10}, first) == Answer::kGranted);
  REQUIRE(budget.reserve({1, 3, 5}, waiting) == Answer::kWaiting);
  REQUIRE(budget.reserve({1, 5, 5}, waiting) == Answer::kWaiting);
  CHECK(budget.reserve({1, 7, 5}, waiting) == Answer::kRefused);
  CHECK(budget.waiting() == 2);
  CHECK(budget.used_bytes() == 10);
}

TEST_CASE("a forgotten waiter leaves its place to the others") {
  wire::MemoryBudget budget(10, 3);
  wire::Reservation first;
  wire::Reservation waiting;
  REQUIRE(budget.reserve({1, 1, 8}, first) == Answer::kGranted);
  REQUIRE(budget.reserve({1, 3, 9}, waiting) == Answer::kWaiting);
  REQUIRE(budget.reserve({2, 3, 2}, waiting) == Answer::kWaiting);
  budget.forget(3, 3);
  budget.forget(1, 1);
  CHECK(budget.waiting() == 2);
  budget.forget(1, 3);
  const auto granted = budget.grant_waiting();
  REQUIRE(granted.size() == 1);
  CHECK(granted[0].first.connection == 2);
  CHECK(budget.used_bytes() == 10);
}

TEST_CASE("what is granted and not taken is given back") {
  wire::MemoryBudget budget(10, 3);
  wire::Reservation first;
  wire::Reservation waiting;
  REQUIRE(budget.reserve({1, 1, 8}, first) == Answer::kGranted);
  REQUIRE(budget.reserve({1, 3, 9}, waiting) == Answer::kWaiting);
  first = wire::Reservation();
  REQUIRE(budget.grant_waiting().size() == 1);
  CHECK(budget.used_bytes() == 0);
  CHECK(budget.waiting() == 0);
}
