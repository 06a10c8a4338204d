#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "connection_pair.h"

namespace npuserve::wire {
namespace {

using Events = std::vector<std::string>;

// Goes to where the connection wants to be woken. REQUIRES: it does.
void sleep_until_woken(ConnectionPair& pair) {
  REQUIRE(pair.server->next_wake_ns() != kNever);
  pair.advance(pair.server->next_wake_ns() - pair.now_ns);
}

}  // namespace

TEST_CASE("a call is answered at its deadline, and not before") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C", {{"grpc-timeout", "2S"}});
  const int32_t later = pair.client.open("/a.B/Later", {{"grpc-timeout", "3S"}});
  pair.exchange();
  pair.take_events();
  CHECK(pair.server->next_wake_ns() == pair.now_ns + 2 * kSecond);
  pair.advance(2 * kSecond - 1);
  CHECK(pair.take_events().empty());
  pair.advance(1);
  CHECK(pair.take_events() == Events{"1 expired"});
  pair.exchange();
  CHECK(pair.client.answer(call).field("grpc-status") == "4");
  CHECK(pair.client.answer(call).field("grpc-message") == "Deadline Exceeded");
  CHECK_FALSE(pair.client.answer(later).is_ended);
  CHECK(pair.server->next_wake_ns() == pair.now_ns + kSecond);
}

TEST_CASE("an answer before the deadline is the answer") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C", {{"grpc-timeout", "2S"}}, true);
  pair.exchange();
  pair.server->finish(call, {});
  pair.advance(3 * kSecond);
  pair.exchange();
  CHECK(pair.client.answer(call).field("grpc-status") == "0");
  CHECK(pair.take_events() == Events{"1 started /a.B/C", "1 half-closed"});
}

TEST_CASE("what was queued when the deadline passes is dropped for the status") {
  ConnectionPair pair({}, {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10}});
  const int32_t call = pair.client.open("/a.B/C", {{"grpc-timeout", "2S"}}, true);
  nghttp2_session_set_local_window_size(pair.client.get(), NGHTTP2_FLAG_NONE, call, 10);
  pair.exchange();
  pair.reply(call, std::string(100, 'x'));
  pair.to_client();
  pair.advance(2 * kSecond);
  CHECK(pair.server->unsent_bytes(call) == 0);
  pair.to_client();
  CHECK(pair.client.answer(call).field("grpc-status") == "4");
}

TEST_CASE("a message that stops growing, or trickles, ends its call; one that waits for memory does not") {
  Limits limits;
  limits.memory_budget_bytes = 300'000;
  ConnectionPair pair(limits);
  const int32_t slow = pair.client.open("/a.B/Slow");
  pair.client.send(slow, framed(std::string(250'000, 'x')).substr(0, 100'000));
  pair.exchange();
  const int32_t waiting = pair.client.open("/a.B/Waiting");
  pair.client.send(waiting, framed(std::string(250'000, 'x')), true);
  pair.exchange();
  CHECK(pair.budget.waiting() == 1);
  pair.take_events();
  pair.advance(limits.slow_writer_timeout_ns - 1);
  pair.client.send(slow, std::string(64 * 1024, 'x'));
  pair.exchange();
  SUBCASE("nothing more comes") { pair.advance(limits.slow_writer_timeout_ns - 1); }
  SUBCASE("a byte comes now and then") {
    pair.advance(limits.slow_writer_timeout_ns / 2);
    pair.client.send(slow, "x");
    pair.exchange();
    pair.advance(limits.slow_writer_timeout_ns / 2 - 1);
  }
  CHECK(pair.take_events().empty());
  pair.advance(1);
  CHECK(pair.take_events() == Events{"1 expired"});
  pair.exchange();
  CHECK(pair.client.answer(slow).field("grpc-status") == "4");
  CHECK(pair.client.answer(slow).is_closed);
  CHECK(pair.budget.used_bytes() == 0);
  CHECK_FALSE(pair.client.answer(waiting).is_ended);
}

TEST_CASE("a client that takes nothing is dropped") {
  Limits limits;
  ConnectionPair pair(limits, {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10}});
  const int32_t call = pair.client.open("/a.B/C", {}, true);
  pair.exchange();
  nghttp2_session_set_local_window_size(pair.client.get(), NGHTTP2_FLAG_NONE, call, 10);
  SUBCASE("its transport") {
    pair.server->set_writable(false, pair.now_ns);
    pair.server->set_writable(true, pair.now_ns);
    pair.server->set_writable(false, pair.now_ns);
  }
  SUBCASE("its window") {
    pair.reply(call, std::string(100, 'x'));
    pair.to_client();
  }
  pair.take_events();
  pair.advance(limits.slow_reader_timeout_ns - 1);
  CHECK_FALSE(pair.server->aborted());
  pair.advance(1);
  CHECK(pair.server->aborted());
  CHECK(pair.server->finished());
  CHECK(pair.take_events() == Events{"1 cancelled"});
}

TEST_CASE("a transport that takes bytes again in time stops the clock") {
  Limits limits;
  ConnectionPair pair(limits);
  pair.exchange();
  pair.server->set_writable(false, pair.now_ns);
  CHECK(pair.server->next_wake_ns() == pair.now_ns + limits.slow_reader_timeout_ns);
  pair.server->set_writable(true, pair.now_ns);
  pair.advance(2 * limits.slow_reader_timeout_ns);
  CHECK_FALSE(pair.server->aborted());
}

TEST_CASE("a client that reads slowly, but reads, is served") {
  Limits limits;
  ConnectionPair pair(limits, {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10}});
  const int32_t call = pair.client.open("/a.B/C", {}, true);
  pair.exchange();
  pair.reply(call, std::string(22, 'x'));
  pair.server->finish(call, {});
  pair.to_client();
  for (int i = 0; i < 3; ++i) {
    pair.advance(limits.slow_reader_timeout_ns - 1);
    nghttp2_submit_window_update(pair.client.get(), NGHTTP2_FLAG_NONE, call, 10);
    pair.exchange();
  }
  CHECK_FALSE(pair.server->aborted());
  CHECK(pair.client.answer(call).field("grpc-status") == "0");
}

TEST_CASE("a silent client is pinged while a call is open, and dropped if it does not answer") {
  Limits limits;
  ConnectionPair pair(limits);
  pair.exchange();
  CHECK(pair.server->next_wake_ns() == kNever);
  pair.client.open("/a.B/C");
  pair.exchange();
  sleep_until_woken(pair);
  pair.to_client();
  CHECK(pair.client.pings == 1);
  pair.to_server();  // its answer
  sleep_until_woken(pair);
  pair.to_client();
  CHECK(pair.client.pings == 2);
  CHECK(pair.server->next_wake_ns() == pair.now_ns + limits.keepalive_timeout_ns);
  pair.advance(limits.keepalive_timeout_ns - 1);
  CHECK_FALSE(pair.server->aborted());
  pair.advance(1);
  CHECK(pair.server->aborted());
}

TEST_CASE("pings without data between them come to an end") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C");
  pair.exchange();
  for (int i = 0; i < 2; ++i) {
    sleep_until_woken(pair);
    pair.exchange();
  }
  CHECK(pair.client.pings == 2);
  CHECK(pair.server->next_wake_ns() == kNever);
  pair.reply(call, "news");
  pair.exchange();
  sleep_until_woken(pair);
  pair.exchange();
  CHECK(pair.client.pings == 3);
}

TEST_CASE("without calls there are pings only where they are permitted") {
  Limits limits;
  limits.keepalive_permit_without_calls = true;
  limits.max_pings_without_data = 0;
  ConnectionPair pair(limits);
  pair.exchange();
  for (int i = 0; i < 5; ++i) {
    sleep_until_woken(pair);
    pair.exchange();
  }
  CHECK(pair.client.pings == 5);
}

TEST_CASE("who does not greet is dropped") {
  Limits limits;
  ConnectionPair pair(limits);
  CHECK(pair.server->next_wake_ns() == pair.now_ns + limits.handshake_timeout_ns);
  pair.advance(limits.handshake_timeout_ns);
  CHECK(pair.server->aborted());
}

TEST_CASE("an idle connection is asked to go") {
  Limits limits;
  limits.max_connection_idle_ns = 10 * kSecond;
  ConnectionPair pair(limits);
  const int32_t call = pair.client.open("/a.B/C", {}, true);
  pair.exchange();
  pair.advance(20 * kSecond);
  pair.server->finish(call, {});
  pair.exchange();
  CHECK(pair.client.goaways.empty());
  sleep_until_woken(pair);
  pair.exchange();
  REQUIRE(pair.client.goaways.size() == 2);
  CHECK(pair.client.goaways.back().error_code == NGHTTP2_NO_ERROR);
  CHECK(pair.server->finished());
  CHECK_FALSE(pair.server->aborted());
}

TEST_CASE("an old connection is asked to go, and dropped after its grace") {
  Limits limits;
  limits.max_connection_age_ns = 100 * kSecond;
  limits.max_connection_age_grace_ns = 5 * kSecond;
  ConnectionPair pair(limits);
  const int32_t call = pair.client.open("/a.B/C", {}, true);
  pair.exchange();
  pair.advance(89 * kSecond);
  pair.exchange();
  CHECK(pair.client.goaways.empty());
  pair.advance(21 * kSecond);
  pair.exchange();
  REQUIRE(pair.client.goaways.size() == 1);
  CHECK_FALSE(pair.server->finished());
  SUBCASE("the call is answered in time") {
    pair.server->finish(call, {});
    pair.exchange();
    CHECK(pair.client.answer(call).field("grpc-status") == "0");
    CHECK(pair.server->finished());
    CHECK_FALSE(pair.server->aborted());
  }
  SUBCASE("it is not") {
    pair.advance(5 * kSecond);
    CHECK(pair.server->aborted());
  }
}

TEST_CASE("timers that nobody needs any more do not pile up") {
  ConnectionPair pair;
  for (int i = 0; i < 5000; ++i) {
    const int32_t call = pair.client.open("/a.B/C", {{"grpc-timeout", "1H"}}, true);
    pair.exchange();
    pair.server->finish(call, {});
    pair.exchange();
  }
  pair.take_events();
  // Had the 5000 stayed, as many wake-ups would follow; of the few that may, none does anything.
  int wakes = 0;
  while (pair.server->next_wake_ns() < pair.now_ns + 3601 * kSecond && wakes < 1000) {
    pair.advance(std::max<int64_t>(pair.server->next_wake_ns() - pair.now_ns, 0));
    ++wakes;
  }
  CHECK(wakes <= 300);
  CHECK(pair.take_events().empty());
}

}  // namespace npuserve::wire
