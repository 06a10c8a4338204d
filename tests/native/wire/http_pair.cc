#include "http_pair.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace npuserve::wire {

HttpPair::HttpPair(const HttpLimits& given)
    : limits(given),
      budget(given.memory_budget_bytes, given.max_waiting_requests,
             {.largest_bytes = kStreamWindowBytes + kMessageOverheadBytes, .limit_bytes = given.small_bodies_bytes}),
      connection(1, limits, budget, now_ns) {}

std::string HttpPair::exchange(std::string_view bytes, const std::vector<size_t>& cuts) {
  std::string answers;
  size_t next = 0;
  while (!bytes.empty()) {
    const size_t size = next < cuts.size() ? std::min(cuts[next++], bytes.size()) : bytes.size();
    receive(bytes.substr(0, size));
    bytes.remove_prefix(size);
    while (connection.has_request()) {
      const HttpHead& head = connection.head();
      respond(std::string(head.method) + " " + std::string(head.path) + " [" + text_of(connection.body()) + "]");
    }
    answers += take();
  }
  return answers;
}

void HttpPair::receive(std::string_view bytes) {
  // Of a size of its own, so that a sanitizer sees a read behind its end.
  const std::vector<char> copy(bytes.begin(), bytes.end());
  connection.receive(std::as_bytes(std::span(copy)), now_ns);
}

void HttpPair::advance(int64_t duration_ns) {
  now_ns += duration_ns;
  connection.advance(now_ns);
}

std::string HttpPair::take() {
  std::string out;
  connection.take_output(out, SIZE_MAX, now_ns);
  return out;
}

void HttpPair::respond(std::string_view body, int status) {
  const std::array<HttpFieldText, 1> fields{{{"Content-Type", "text/plain"}}};
  Buffer buffer(body.size());
  buffer.resize(body.size());
  if (!body.empty()) std::memcpy(buffer.data(), body.data(), body.size());
  connection.respond(status, fields, std::move(buffer), now_ns);
}

int status_of(std::string_view answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::stoi(std::string(answer.substr(9, 3))) : 0;
}

std::string text_of(const Buffer& buffer) {
  return buffer.empty() ? "" : std::string(reinterpret_cast<const char*>(buffer.data()), buffer.size());
}

}  // namespace npuserve::wire
