#include <doctest/doctest.h>

#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "batching/pending.h"

using npuserve::batching::PendingQueue;
using npuserve::batching::Waiting;
using npuserve::core::Request;

namespace {

void push(PendingQueue& queue, uint64_t token, int64_t rows = 1) {
  Request request;
  request.token = token;
  request.rows = rows;
  queue.push(std::move(request), Waiting{.rows = rows, .arrival_ns = static_cast<int64_t>(token)});
}

std::vector<uint64_t> tokens_of(const std::vector<Request>& requests) {
  std::vector<uint64_t> tokens;
  for (const Request& request : requests) tokens.push_back(request.token);
  return tokens;
}

}  // namespace

TEST_CASE("requests leave in the order in which they came") {
  PendingQueue queue;
  for (uint64_t token = 1; token <= 5; ++token) push(queue, token);
  CHECK(tokens_of(queue.take(2)) == std::vector<uint64_t>{1, 2});
  CHECK(queue.size() == 3);
  push(queue, 6);
  CHECK(tokens_of(queue.take(4)) == std::vector<uint64_t>{3, 4, 5, 6});
  CHECK(queue.empty());
  CHECK(queue.take(0).empty());
}

TEST_CASE("a request can be removed from anywhere, once") {
  PendingQueue queue;
  for (uint64_t token = 1; token <= 4; ++token) push(queue, token);
  CHECK(tokens_of(queue.take(1)) == std::vector<uint64_t>{1});
  CHECK(queue.remove(3)->token == 3);
  CHECK_FALSE(queue.remove(3).has_value());
  CHECK_FALSE(queue.remove(1).has_value());  // taken
  CHECK(queue.waiting()[1].arrival_ns == 4);
  CHECK(tokens_of(queue.take(2)) == std::vector<uint64_t>{2, 4});
}

TEST_CASE("the policy's view follows the queue through any series of changes") {
  std::mt19937 random(20250101);
  PendingQueue queue;
  std::deque<uint64_t> expected;
  uint64_t next = 1;
  for (int step = 0; step < 20'000; ++step) {
    const unsigned choice = random() % 8;
    if (choice < 4) {
      push(queue, next, static_cast<int64_t>(next % 5));
      expected.push_back(next++);
    } else if (choice < 7 && !expected.empty()) {
      const size_t count = random() % expected.size() % 4 + 1;
      for (const uint64_t token : tokens_of(queue.take(std::min(count, expected.size())))) {
        REQUIRE(token == expected.front());
        expected.pop_front();
      }
    } else if (!expected.empty()) {
      const size_t at = random() % expected.size();
      REQUIRE(queue.remove(expected[at]).has_value());
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(at));
    }
    REQUIRE(queue.size() == expected.size());
    if (expected.empty()) continue;
    CHECK(queue.waiting().front().arrival_ns == static_cast<int64_t>(expected.front()));
    CHECK(queue.waiting().back().rows == static_cast<int64_t>(expected.back() % 5));
  }
}
