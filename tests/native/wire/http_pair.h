// An HTTP connection under test, whose requests a test answers, and a clock set by hand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/http_connection.h"
#include "wire/http_limits.h"
#include "wire/memory_budget.h"

namespace npuserve::wire {

class HttpPair {
 public:
  explicit HttpPair(const HttpLimits& given = {});

  // Receives the bytes, in pieces of the given sizes and then the rest, and answers every request with its own method,
  // path and body. Returns all that was answered.
  std::string exchange(std::string_view bytes, const std::vector<size_t>& cuts = {});

  void receive(std::string_view bytes);
  void advance(int64_t duration_ns);
  std::string take();

  // Answers the request that is there.
  void respond(std::string_view body, int status = 200);

  const HttpLimits limits;
  MemoryBudget budget;
  int64_t now_ns = 1'000 * kSecond;
  HttpConnection connection;
};

// The status of the first answer in the text; 0 if there is none.
int status_of(std::string_view answer);

std::string text_of(const Buffer& buffer);

}  // namespace npuserve::wire
