// A connection's life: what keeps it, what ends it, what it holds, what it waits for.
#include <doctest/doctest.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "http_pair.h"

namespace npuserve::wire {
namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

std::string post_head(size_t bytes, std::string_view fields = "") {
  return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) + "\r\n" + std::string(fields) +
         "\r\n";
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

TEST_CASE("HTTP/1.1 goes on unless the client says close, HTTP/1.0 ends unless it says keep-alive") {
  HttpPair goes_on;
  CHECK(!has(goes_on.exchange(kGet), "Connection:"));
  CHECK(!goes_on.connection.finished());

  HttpPair closes;
  CHECK(has(closes.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n" + kGet),
            "\r\nConnection: close\r\n"));
  CHECK(closes.connection.finished());

  HttpPair old;
  CHECK(has(old.exchange("GET / HTTP/1.0\r\n\r\n"), "\r\nConnection: close\r\n"));
  CHECK(old.connection.finished());

  HttpPair old_that_goes_on;
  CHECK(has(old_that_goes_on.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            "\r\nConnection: keep-alive\r\n"));
  CHECK(!old_that_goes_on.connection.finished());
}

TEST_CASE("a client that expects it is told to continue, unless its body is there already") {
  HttpPair waits;
  waits.receive(post_head(2, "Expect: 100-Continue\r\n"));
  CHECK(waits.take() == "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(status_of(waits.exchange("ab")) == 200);

  HttpPair goes_ahead;
  CHECK(status_of(goes_ahead.exchange(post_head(2, "Expect: 100-continue\r\n") + "ab")) == 200);
}

TEST_CASE("a request is read when the one before is answered, and what may be held is bounded") {
  HttpPair pair;
  pair.receive(kGet + kGet);
  CHECK(pair.connection.has_request());
  CHECK(pair.take().empty());
  CHECK(pair.budget.used_bytes() > 0);
  pair.respond("first");
  CHECK(pair.connection.has_request());
  CHECK(has(pair.take(), "first"));
  pair.receive(std::string(HttpConnection::kMaxHeldBytes, 'x'));
  CHECK(!pair.connection.wants_read());
  pair.respond("second");
  CHECK(pair.connection.wants_read());
  CHECK(pair.connection.finished());  // what was held is no request
  CHECK(pair.budget.used_bytes() == 0);
}

TEST_CASE("the next request waits for a client that does not take its answers") {
  HttpLimits limits;
  limits.max_unsent_bytes = 100;
  HttpPair pair(limits);
  pair.receive(kGet + kGet);
  pair.respond(std::string(200, 'a'));
  CHECK(!pair.connection.has_request());
  CHECK(pair.connection.unsent_bytes() > 200);
  pair.take();
  CHECK(pair.connection.has_request());
}

TEST_CASE("a body takes its part of the budget, waits where there is none, and gives it back with the answer") {
  HttpLimits limits;
  limits.memory_budget_bytes = 300'000;
  limits.small_bodies_bytes = 0;
  HttpPair pair(limits);
  Reservation other;
  REQUIRE(pair.budget.try_reserve(150'000, other));
  pair.receive(post_head(200'000, "Expect: 100-continue\r\n"));
  CHECK(pair.budget.waiting() == 1);
  CHECK(pair.take().empty());
  CHECK(pair.connection.next_wake_ns() == kNever);
  other = Reservation();
  for (auto& [waiter, room] : pair.budget.grant_waiting()) pair.connection.grant(std::move(room), pair.now_ns);
  CHECK(has(pair.take(), "100 Continue"));
  CHECK(status_of(pair.exchange(std::string(200'000, 'a'))) == 200);
  CHECK(pair.budget.used_bytes() == 0);

  CHECK(status_of(pair.exchange(post_head(300'000))) == 413);
}

TEST_CASE("a body that comes while its room is awaited is held, and one whose connection goes waits no more") {
  HttpLimits limits;
  limits.memory_budget_bytes = 100'000;
  limits.small_bodies_bytes = 0;
  HttpPair pair(limits);
  Reservation other;
  REQUIRE(pair.budget.try_reserve(90'000, other));
  pair.receive(post_head(20'000) + std::string(20'000, 'b'));
  other = Reservation();
  for (int round = 0; round < 2; ++round) {
    for (auto& [waiter, room] : pair.budget.grant_waiting()) pair.connection.grant(std::move(room), pair.now_ns);
  }
  REQUIRE(pair.connection.has_request());
  CHECK(pair.connection.body().size() == 20'000);

  HttpConnection gone(2, limits, pair.budget, 0);
  Reservation all;
  REQUIRE(pair.budget.try_reserve(pair.budget.free_bytes(), all));
  const std::string head = post_head(50'000);
  {
    HttpConnection waits(3, limits, pair.budget, 0);
    waits.receive(std::as_bytes(std::span(head)), 0);
    CHECK(pair.budget.waiting() == 1);
  }
  CHECK(pair.budget.waiting() == 0);
}

TEST_CASE("too many that wait for memory, and a chunked body that outgrows it, are refused") {
  HttpLimits limits;
  limits.memory_budget_bytes = 20'000;
  limits.small_bodies_bytes = 0;
  limits.max_waiting_requests = 0;
  HttpPair pair(limits);
  CHECK(status_of(pair.exchange("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n" +
                                std::string(0x4000, 'a'))) == 503);
  CHECK(pair.budget.used_bytes() == 0);

  HttpPair crowded(limits);
  Reservation other;
  REQUIRE(crowded.budget.try_reserve(15'000, other));
  CHECK(status_of(crowded.exchange(post_head(10'000))) == 503);
}

TEST_CASE("slow heads, slow bodies and silence end a connection in their time, each in its way") {
  HttpPair head;
  head.receive("GET / HT");
  head.advance(head.limits.head_timeout_ns - 1);
  head.receive("TP");
  CHECK(head.take().empty());
  head.advance(1);
  CHECK(status_of(head.take()) == 408);
  CHECK(head.connection.lingers());
  head.advance(head.limits.linger_timeout_ns);
  CHECK(head.connection.aborted());

  HttpPair body;
  body.receive(post_head(200'000));
  for (int round = 0; round < 3; ++round) {
    body.advance(body.limits.slow_writer_timeout_ns - 1);
    body.receive(std::string(64 * 1024, 'a'));
  }
  body.advance(body.limits.slow_writer_timeout_ns - 1);
  body.receive("a");
  CHECK(body.take().empty());
  body.advance(1);
  CHECK(status_of(body.take()) == 408);
  CHECK(body.budget.used_bytes() == 0);

  HttpPair silent;
  CHECK(status_of(silent.exchange(kGet)) == 200);
  silent.advance(silent.limits.keepalive_timeout_ns - 1);
  CHECK(!silent.connection.finished());
  silent.advance(1);
  CHECK(silent.connection.finished());
  CHECK(!silent.connection.lingers());
  CHECK(silent.take().empty());
}

TEST_CASE("a client that takes nothing of what is sent is let go, and one that takes some is not") {
  HttpPair pair;
  pair.receive(kGet);
  pair.respond("body");
  pair.advance(pair.limits.slow_reader_timeout_ns - 1);
  std::string some;
  pair.connection.take_output(some, 5, pair.now_ns);
  pair.advance(1);
  CHECK(!pair.connection.aborted());
  pair.advance(pair.limits.slow_reader_timeout_ns);
  CHECK(pair.connection.aborted());

  HttpPair full;
  full.receive(kGet);
  full.connection.set_writable(false, full.now_ns);
  full.advance(full.limits.slow_reader_timeout_ns);
  CHECK(full.connection.aborted());
}

TEST_CASE("a time limit of zero is none") {
  HttpLimits limits;
  limits.head_timeout_ns = limits.keepalive_timeout_ns = limits.slow_writer_timeout_ns = 0;
  HttpPair pair(limits);
  CHECK(pair.connection.next_wake_ns() == kNever);
  pair.receive("G");
  CHECK(pair.connection.next_wake_ns() == kNever);
}

TEST_CASE("a stream is sent in chunks, and its answer is over with its end") {
  HttpPair pair;
  pair.receive(kGet + kGet);
  pair.connection.start_stream(200, {});
  pair.connection.send(std::as_bytes(std::span(std::string_view("aaaaaaaaaaaaaaaaaaaaaaaaaa"))));
  pair.connection.send({});
  CHECK(pair.take() == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" + std::string(26, 'a') + "\r\n");
  CHECK(!pair.connection.has_request());
  pair.connection.end_stream(pair.now_ns);
  CHECK(pair.take() == "0\r\n\r\n");
  CHECK(pair.connection.has_request());
}

TEST_CASE("a stream to an HTTP/1.0 client ends with the connection") {
  HttpPair pair;
  pair.receive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  pair.connection.start_stream(200, {});
  pair.connection.send(std::as_bytes(std::span(std::string_view("abc"))));
  pair.connection.end_stream(pair.now_ns);
  CHECK(pair.take() == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
  CHECK(pair.connection.finished());
}

TEST_CASE("a HEAD request is answered without the body that is stated") {
  HttpPair pair;
  pair.receive("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + kGet);
  pair.respond("body");
  const std::string answer = pair.take();
  CHECK(has(answer, "Content-Length: 4\r\n"));
  CHECK(answer.ends_with("\r\n\r\n"));
  CHECK(pair.connection.has_request());

  HttpPair streamed;
  streamed.receive("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  streamed.connection.start_stream(200, {});
  streamed.connection.send(std::as_bytes(std::span(std::string_view("abc"))));
  streamed.connection.end_stream(streamed.now_ns);
  CHECK(streamed.take() == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  CHECK(!streamed.connection.finished());
}

TEST_CASE("a status without a body gets none") {
  HttpPair pair;
  pair.receive(kGet);
  pair.respond("dropped", 204);
  CHECK(pair.take() == "HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\n\r\n");
}

TEST_CASE("a shutdown ends an idle connection at once and another with its answer") {
  HttpPair idle;
  idle.connection.shut_down(idle.now_ns);
  CHECK(idle.connection.finished());

  HttpPair busy;
  busy.receive(post_head(2));
  busy.connection.shut_down(busy.now_ns);
  CHECK(!busy.connection.finished());
  CHECK(has(busy.exchange("ab" + kGet), "\r\nConnection: close\r\n"));
  CHECK(busy.connection.finished());
}

TEST_CASE("a connection that ends while its client goes on sending waits for the client to hear the last answer") {
  HttpPair asked;
  asked.receive("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + kGet);
  asked.respond("last");
  CHECK(asked.connection.finished());
  CHECK(asked.connection.lingers());
  CHECK(asked.connection.wants_read());
  CHECK(status_of(asked.take()) == 200);
  asked.receive(kGet);
  CHECK(asked.take().empty());
  asked.advance(asked.limits.linger_timeout_ns);
  CHECK(asked.connection.aborted());

  // The time that is given begins when the answer is sent, however long that takes.
  HttpPair slow;
  slow.receive("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + kGet);
  slow.respond("last");
  slow.advance(slow.limits.linger_timeout_ns);
  CHECK(status_of(slow.take()) == 200);
  slow.connection.set_writable(false, slow.now_ns);
  slow.advance(slow.limits.linger_timeout_ns);
  CHECK(!slow.connection.aborted());
  slow.connection.set_writable(true, slow.now_ns);
  slow.advance(slow.limits.linger_timeout_ns - 1);
  CHECK(!slow.connection.aborted());
  slow.advance(1);
  CHECK(slow.connection.aborted());

  HttpPair shut_down;
  shut_down.receive(kGet);
  shut_down.receive(kGet);
  shut_down.connection.shut_down(shut_down.now_ns);
  shut_down.respond("last");
  CHECK(shut_down.connection.lingers());

  HttpPair quiet;
  quiet.receive(kGet);
  quiet.connection.shut_down(quiet.now_ns);
  quiet.respond("last");
  CHECK(!quiet.connection.lingers());
}

TEST_CASE("a field that a handler may not give is told apart") {
  CHECK(may_be_given("X-Any", "value with\ttab and \xc3\xa4"));
  CHECK(!may_be_given("X-Any", "a\r\nX-Split: b"));
  CHECK(!may_be_given("X Any", "a"));
  CHECK(!may_be_given("", "a"));
  CHECK(!may_be_given("Content-Length", "4"));
  CHECK(!may_be_given("transfer-encoding", "chunked"));
  CHECK(!may_be_given("Connection", "close"));
}

}  // namespace npuserve::wire
