#include "batching/request_queue.h"

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <random>
#include <utility>
#include <vector>

using npuserve::batching::kNoTicket;
using npuserve::batching::RequestQueue;
using npuserve::batching::Ticket;

namespace {

using Tickets = std::vector<Ticket>;

Tickets line_of(const RequestQueue& queue, size_t tier, size_t line) {
  Tickets found;
  Ticket before = kNoTicket;
  for (Ticket at = queue.line(tier, line).first; at != kNoTicket; at = queue[at].behind) {
    CHECK(queue[at].before == before);
    before = at;
    found.push_back(at);
  }
  CHECK(queue.line(tier, line).last == before);
  return found;
}

}  // namespace

TEST_CASE("a line keeps the order of arrival, whoever leaves from where") {
  RequestQueue queue(1, 1);
  Tickets tickets;
  for (int i = 0; i < 5; ++i) tickets.push_back(queue.push(0, 0, {}));
  queue.remove(tickets[2]);
  CHECK(line_of(queue, 0, 0) == Tickets{tickets[0], tickets[1], tickets[3], tickets[4]});
  queue.remove(tickets[0]);
  queue.remove(tickets[4]);
  CHECK(line_of(queue, 0, 0) == Tickets{tickets[1], tickets[3]});
  CHECK(queue.size() == 2);
}

TEST_CASE("a ticket is given again once its request has left") {
  RequestQueue queue(1, 1);
  const Ticket first = queue.push(0, 0, {});
  const Ticket second = queue.push(0, 0, {});
  CHECK(first != second);
  queue.remove(first);
  CHECK(queue.push(0, 0, {}) == first);
  CHECK(line_of(queue, 0, 0) == Tickets{second, first});
}

TEST_CASE("a line knows its rows, and whether each request brings one") {
  RequestQueue queue(1, 2);
  queue.push(0, 1, {.rows = 1});
  CHECK(queue.line(0, 1).has_single_rows());
  const Ticket wide = queue.push(0, 1, {.rows = 3});
  CHECK(queue.line(0, 1).rows == 4);
  CHECK_FALSE(queue.line(0, 1).has_single_rows());
  CHECK(queue.line(0, 0).rows == 0);
  queue.remove(wide);
  CHECK(queue.line(0, 1).has_single_rows());
}

TEST_CASE("the oldest of a tier is found among its lines") {
  RequestQueue queue(2, 3);
  const Ticket first = queue.push(1, 2, {});
  const Ticket second = queue.push(1, 0, {});
  queue.push(0, 0, {});
  CHECK(queue.oldest(1) == first);
  queue.remove(first);
  CHECK(queue.oldest(1) == second);
}

TEST_CASE("who moves to another tier is the last there") {
  RequestQueue queue(2, 1);
  const Ticket first = queue.push(0, 0, {.rows = 2});
  const Ticket second = queue.push(1, 0, {});
  queue.move(first, 1);
  CHECK(line_of(queue, 1, 0) == Tickets{second, first});
  CHECK(queue.oldest(1) == second);
  CHECK(queue.size(0) == 0);
  CHECK(queue.size() == 2);
}

TEST_CASE("the tiers that hold something are found in order, however many are empty") {
  RequestQueue queue(300, 1);
  CHECK(queue.next_tier(0) == 300);
  const Ticket near = queue.push(3, 0, {});
  queue.push(130, 0, {});
  queue.push(299, 0, {});
  CHECK(queue.next_tier(0) == 3);
  CHECK(queue.next_tier(3) == 3);
  CHECK(queue.next_tier(4) == 130);
  CHECK(queue.next_tier(131) == 299);
  CHECK(queue.next_tier(300) == 300);
  queue.remove(near);
  CHECK(queue.next_tier(0) == 130);
}

TEST_CASE("with one line a tier, requests are found in the order in which they are served") {
  RequestQueue queue(3, 1);
  const Ticket last = queue.push(2, 0, {});
  const Ticket first = queue.push(0, 0, {});
  const Ticket second = queue.push(0, 0, {});
  CHECK(queue.next(first) == second);
  CHECK(queue.next(second) == last);
  CHECK(queue.next(last) == kNoTicket);
}

TEST_CASE("only who joins behind all others disrupts nothing") {
  RequestQueue queue(2, 1);
  queue.push(0, 0, {});
  const Ticket last = queue.push(1, 0, {});
  CHECK(queue.disruptions() == 0);
  queue.push(0, 0, {});
  CHECK(queue.disruptions() == 1);
  queue.remove(last);
  CHECK(queue.disruptions() == 2);
  CHECK(queue.changes() == 4);
}

TEST_CASE("lines and sizes follow any series of changes") {
  std::mt19937 random(20250101);
  RequestQueue queue(4, 3);
  std::map<std::pair<size_t, size_t>, std::deque<Ticket>> expected;
  std::vector<Ticket> queued;
  for (int step = 0; step < 20'000; ++step) {
    const size_t tier = random() % 4;
    if (queued.empty() || random() % 2 == 0) {
      const size_t line = random() % 3;
      queued.push_back(queue.push(tier, line, {.rows = 1 + static_cast<int64_t>(random() % 3)}));
      expected[{tier, line}].push_back(queued.back());
    } else {
      const size_t at = random() % queued.size();
      const Ticket ticket = queued[at];
      const size_t line = queue[ticket].line;
      std::erase(expected[{queue[ticket].tier, line}], ticket);
      if (random() % 4 == 0) {
        queue.move(ticket, tier);
        expected[{tier, line}].push_back(ticket);
      } else {
        queue.remove(ticket);
        queued.erase(queued.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    REQUIRE(queue.size() == queued.size());
    for (const auto& [place, tickets] : expected) {
      REQUIRE(line_of(queue, place.first, place.second) == Tickets(tickets.begin(), tickets.end()));
      int64_t rows = 0;
      for (const Ticket ticket : tickets) rows += queue[ticket].waiting.rows;
      REQUIRE(queue.line(place.first, place.second).rows == rows);
    }
  }
}
