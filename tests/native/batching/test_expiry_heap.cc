#include "batching/expiry_heap.h"

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <random>
#include <set>
#include <utility>

using npuserve::batching::ExpiryHeap;
using npuserve::batching::Ticket;

TEST_CASE("who times out first comes out first, and not before its time") {
  ExpiryHeap heap;
  CHECK_FALSE(heap.next_ns().has_value());
  heap.add(0, 30);
  heap.add(1, 10);
  heap.add(2, 20);
  CHECK(heap.next_ns() == 10);
  CHECK_FALSE(heap.pop(9).has_value());
  CHECK(heap.pop(25) == 1);
  CHECK(heap.pop(25) == 2);
  CHECK_FALSE(heap.pop(25).has_value());
  CHECK(heap.next_ns() == 30);
}

TEST_CASE("of one instant, the first that was added comes first") {
  ExpiryHeap heap;
  for (const Ticket ticket : {4U, 2U, 9U, 1U}) heap.add(ticket, 5);
  for (const Ticket ticket : {4U, 2U, 9U, 1U}) CHECK(heap.pop(5) == ticket);
}

TEST_CASE("one that was removed does not come, and one that never was in it can be removed") {
  ExpiryHeap heap;
  heap.remove(7);
  heap.add(0, 10);
  heap.add(1, 20);
  heap.remove(0);
  heap.remove(0);
  CHECK(heap.next_ns() == 20);
  heap.add(0, 30);
  CHECK(heap.pop(100) == 1);
  CHECK(heap.pop(100) == 0);
}

TEST_CASE("the order holds for any series of changes") {
  std::mt19937 random(5);
  ExpiryHeap heap;
  std::set<std::pair<int64_t, int>> expected;  // by time, then by order of addition
  std::map<int, Ticket> tickets;
  std::map<Ticket, std::pair<int64_t, int>> places;
  for (int step = 0; step < 50'000; ++step) {
    const auto ticket = static_cast<Ticket>(random() % 200);
    const auto place = places.find(ticket);
    if (place == places.end()) {
      const std::pair<int64_t, int> added(random() % 1000, step);
      heap.add(ticket, added.first);
      expected.insert(added);
      tickets[step] = ticket;
      places[ticket] = added;
    } else if (random() % 3 != 0) {
      heap.remove(ticket);
      expected.erase(place->second);
      places.erase(place);
    } else {
      const Ticket first = tickets[expected.begin()->second];
      REQUIRE(heap.pop(1000) == first);
      expected.erase(expected.begin());
      places.erase(first);
    }
    REQUIRE(heap.next_ns() == (expected.empty() ? std::nullopt : std::optional(expected.begin()->first)));
  }
}
