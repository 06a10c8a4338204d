// Requests as they come: whole, cut anywhere, one behind the other, and those that must be refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http_pair.h"

namespace npuserve::wire {
namespace {

std::string answer(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

// Requests of every framing, one behind the other, and their answers.
const std::string kPipeline =
    "GET /v2/health/live?verbose=1 HTTP/1.1\r\nHost: a\r\n\r\n"
    "POST /one HTTP/1.1\r\nhost:b\r\nContent-Length: 5\r\n\r\nhello"
    "\r\nPOST /two HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: Chunked\r\n\r\n"
    "3\r\nabc\r\n0A ; name=\"value\"\r\n0123456789\r\n0\r\nTrailer: dropped\r\n\r\n"
    "GET http://host:80/three?q HTTP/1.1\r\nHost: d\r\nX:\t spaced \t\r\n\r\n"
    "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n"
    "POST /four HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n";

const std::string kAnswers = answer("GET /v2/health/live []") + answer("POST /one [hello]") +
                             answer("POST /two [abc0123456789]") + answer("GET /three []") + answer("OPTIONS * []") +
                             answer("POST /four []");

std::string request(std::string_view line, std::string_view fields = "", std::string_view body = "") {
  return std::string(line).append("\r\nHost: a\r\n").append(fields).append("\r\n").append(body);
}

std::string post(std::string_view fields, std::string_view body = "") {
  return request("POST /p HTTP/1.1", fields, body);
}

// What a request is refused with, cut nowhere and everywhere; behind it nothing is read.
int refused_with(const std::string& bytes, const HttpLimits& limits = {}) {
  HttpPair whole(limits);
  const std::string at_once = whole.exchange(bytes + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(whole.connection.finished());
  CHECK(whole.connection.lingers());
  CHECK(at_once.find("smuggled") == std::string::npos);
  CHECK(at_once.find("\r\nConnection: close\r\n") != std::string::npos);
  CHECK(at_once.find("{\"error\":\"") != std::string::npos);

  HttpPair cut(limits);
  const std::string piecewise = cut.exchange(bytes, std::vector<size_t>(bytes.size(), 1));
  CHECK(status_of(piecewise) == status_of(at_once));
  return status_of(at_once);
}

}  // namespace

TEST_CASE("requests of every framing are answered in order, however they are cut") {
  CHECK(HttpPair().exchange(kPipeline) == kAnswers);
  CHECK(HttpPair().exchange(kPipeline, std::vector<size_t>(kPipeline.size(), 1)) == kAnswers);
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): the same cuts in every run
  for (int round = 0; round < 300; ++round) {
    std::vector<size_t> cuts(kPipeline.size());
    for (size_t& cut : cuts) cut = 1 + random() % 40;
    CHECK(HttpPair().exchange(kPipeline, cuts) == kAnswers);
  }
}

TEST_CASE("what two servers could read differently is refused") {
  const std::vector<std::pair<std::string, int>> table{
      {post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"), 400},
      {post("Content-Length: 4\r\nContent-Length: 4\r\n", "abcd"), 400},
      {post("Content-Length: 4, 4\r\n", "abcd"), 400},
      {post("Content-Length: +4\r\n", "abcd"), 400},
      {post("Content-Length: -4\r\n", "abcd"), 400},
      {post("Content-Length: 0x4\r\n", "abcd"), 400},
      {post("Content-Length: 4 4\r\n", "abcd"), 400},
      {post("Content-Length:\r\n", "abcd"), 400},
      {post("Content-Length: 99999999999999999999999\r\n"), 400},
      {post("Content-Length : 4\r\n", "abcd"), 400},
      {post(" Content-Length: 4\r\n", "abcd"), 400},
      {post("X: 1\r\n Content-Length: 4\r\n", "abcd"), 400},
      {post("X: 1\r\n\tfolded\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
      {post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 501},
      {post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501},
      {post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 501},
      {"POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {post("X: a\rContent-Length: 4\r\n", "abcd"), 400},
      {post("X: a\nContent-Length: 4\r\n", "abcd"), 400},
      {"GET / HTTP/1.1\nHost: a\n\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\n\nX: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
      {post(std::string("X: a") + '\0' + "b\r\n"), 400},
      {post("X\x80: a\r\n"), 400},
      {post(": a\r\n"), 400},
      {post("no colon\r\n"), 400},
      {post("Host: b\r\n"), 400},
      {"GET / HTTP/1.1\r\nX: a\r\n\r\n", 400},
      {post("Transfer-Encoding: chunked\r\n", "4\nabcd\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "4\r\nabcdX\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "4\r\nabcd\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "0x4\r\nabcd\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "-4\r\nabcd\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", " 4\r\nabcd\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "4 \r\nabcd\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "4 4\r\nabcd\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "4;a\rb\r\nabcd\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "\r\nabcd\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "10000000000000000\r\nabcd\r\n0\r\n\r\n"), 400},
      {post("Transfer-Encoding: chunked\r\n", "0\r\nno colon\r\n\r\n"), 400},
  };
  for (const auto& row : table) {
    CAPTURE(row.first);
    CHECK(refused_with(row.first) == row.second);
  }
}

TEST_CASE("what is no request of HTTP/1.1 or 1.0 is refused at once") {
  const std::vector<std::pair<std::string, int>> table{
      {request("GET  / HTTP/1.1"), 400},
      {request("GET / HTTP/1.1 "), 400},
      {request(" GET / HTTP/1.1"), 400},
      {request("GET /a b HTTP/1.1"), 400},
      {request("GET / http/1.1"), 400},
      {request("GET /"), 400},
      {request("G(T / HTTP/1.1"), 400},
      {request("GET /\x7f HTTP/1.1"), 400},
      {request("GET /\xc3\xa4 HTTP/1.1"), 400},
      {request("GET / HTTP/2.0"), 505},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {std::string("\x16\x03\x01\x02\x00\x01\x00", 7), 400},
      {"\r\n\r\n", 400},
      {post("Expect: 200-ok\r\nContent-Length: 1\r\n", "a"), 417},
  };
  for (const auto& row : table) {
    CAPTURE(row.first);
    CHECK(refused_with(row.first) == row.second);
  }
}

TEST_CASE("each limit has an error of its own") {
  HttpLimits limits;
  limits.max_request_line_bytes = 64;
  limits.max_head_bytes = 256;
  limits.max_header_fields = 4;
  limits.max_body_bytes = 100;
  limits.max_chunks = 3;
  const std::string chunked = "Transfer-Encoding: chunked\r\n";

  CHECK(refused_with(request("GET /" + std::string(51, 'a') + " HTTP/1.1"), limits) == 414);
  CHECK(refused_with("GET /" + std::string(100, 'a'), limits) == 414);
  CHECK(refused_with(post("X: " + std::string(230, 'a') + "\r\n"), limits) == 431);
  CHECK(refused_with("GET / HTTP/1.1\r\nX: " + std::string(500, 'a'), limits) == 431);
  CHECK(refused_with(post("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n"), limits) == 431);
  CHECK(refused_with(post("Content-Length: 101\r\n"), limits) == 413);
  CHECK(refused_with(post(chunked, "65\r\n" + std::string(101, 'a')), limits) == 413);
  CHECK(refused_with(post(chunked, "32\r\n" + std::string(50, 'a') + "\r\n33\r\n" + std::string(51, 'a')), limits) ==
        413);
  CHECK(refused_with(post(chunked, "1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n0\r\n\r\n"), limits) == 400);
  CHECK(refused_with(post(chunked, "1;" + std::string(1100, 'a') + "\r\na\r\n"), limits) == 400);
  CHECK(refused_with(post(chunked, "0\r\nT: " + std::string(300, 'a') + "\r\n\r\n"), limits) == 431);

  // A request line of the most bytes passes however it is cut.
  const std::string longest = request("GET /" + std::string(50, 'a') + " HTTP/1.1");
  CHECK(status_of(HttpPair(limits).exchange(longest)) == 200);
  CHECK(status_of(HttpPair(limits).exchange(longest, std::vector<size_t>(longest.size(), 1))) == 200);

  HttpPair pair(limits);
  const std::string within = post(chunked, "1\r\na\r\n1\r\nb\r\n62\r\n" + std::string(98, 'c') + "\r\n0\r\n\r\n");
  CHECK(status_of(pair.exchange(within)) == 200);
  CHECK(pair.exchange(post(chunked, "1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n"))
            .find("Chunked request body exceeds maximum of 3 non-empty chunks. Send fewer or larger HTTP chunks.") !=
        std::string::npos);
}

TEST_CASE("a head tells its fields by names in lower case, and a field that is there twice has no one value") {
  HttpPair pair;
  pair.receive(request("GET / HTTP/1.1", "Content-TYPE: a/b\r\nX-Two: 1\r\nx-two: 2\r\n"));
  REQUIRE(pair.connection.has_request());
  const HttpHead& head = pair.connection.head();
  CHECK(head.find("content-type") == "a/b");
  CHECK(!head.find("x-two"));
  CHECK(!head.find("x-none"));
  CHECK(head.fields.size() == 4);
}

}  // namespace npuserve::wire
