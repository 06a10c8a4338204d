#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "connection_pair.h"

namespace npuserve::wire {
namespace {

using Events = std::vector<std::string>;
using core::Status;
using core::StatusCode;

int32_t call_with_message(ConnectionPair& pair, bool ends = true) {
  const int32_t call = pair.client.open("/a.B/C");
  pair.client.send(call, framed("m"), ends);
  pair.exchange();
  return call;
}

}  // namespace

TEST_CASE("a status without a message is trailers alone") {
  ConnectionPair pair;
  const int32_t call = call_with_message(pair);
  pair.server->finish(call, Status(StatusCode::kNotFound, "no model 'größe'"),
                      {{"key", "value"}, {"details-bin", std::string("\0\1", 2)}, {"Bad Key", "x"}, {"bad", "\n"}});
  pair.exchange();
  const Answer& answer = pair.client.answer(call);
  CHECK(answer.headers == std::vector<Field>{{":status", "200"},
                                             {"content-type", "application/grpc"},
                                             {"grpc-status", "5"},
                                             {"grpc-message", "no model 'gr%C3%B6%C3%9Fe'"},
                                             {"key", "value"},
                                             {"details-bin", "AAE="}});
  CHECK(answer.trailers.empty());
  CHECK(answer.is_ended);
  CHECK(answer.is_closed);
}

TEST_CASE("many trailers go out, and one that is longer than a frame") {
  ConnectionPair pair;
  const int32_t call = call_with_message(pair);
  Metadata trailing;
  for (int i = 0; i < 30; ++i) trailing.emplace_back("key-" + std::to_string(i), std::string(900, 'x'));
  pair.reply(call, "r");
  pair.server->finish(call, {}, trailing);
  pair.exchange();
  CHECK(pair.client.answer(call).trailers.size() == 31);
  CHECK(pair.client.answer(call).is_closed);
}

TEST_CASE("the encoding of the first message is announced") {
  ConnectionPair pair;
  const int32_t call = call_with_message(pair);
  const std::string text(100, 'x');
  pair.server->send_message(call, frame_message(std::as_bytes(std::span(text)), Encoding::kGzip, 6), Encoding::kGzip);
  pair.server->finish(call, {});
  pair.exchange();
  CHECK(pair.client.answer(call).field("grpc-encoding") == "gzip");
}

TEST_CASE("both sides stream, in any order") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C");
  pair.exchange();
  std::string expected;
  for (int i = 0; i < 5; ++i) {
    const std::string text = std::to_string(i);
    pair.client.send(call, framed(text));
    pair.exchange();
    pair.reply(call, text);
    pair.reply(call, "");
    pair.exchange();
    expected += framed(text) + framed("");
    CHECK(pair.client.answer(call).body == expected);
  }
  pair.client.send(call, "", true);
  pair.exchange();
  CHECK(pair.take_events().back() == "1 half-closed");
  pair.server->finish(call, {});
  pair.exchange();
  CHECK(pair.client.answer(call).field("grpc-status") == "0");
  CHECK(pair.client.answer(call).is_closed);
  CHECK(pair.client.answer(call).error_code == NGHTTP2_NO_ERROR);
}

TEST_CASE("a call that is finished before its client was closes without an error, and the rest is passed over") {
  ConnectionPair pair;
  const int32_t call = call_with_message(pair, false);
  SUBCASE("with a message") { pair.reply(call, "enough"); }
  SUBCASE("without") {}
  pair.server->finish(call, {});
  pair.client.send(call, framed("more"));
  pair.exchange();
  CHECK(pair.client.answer(call).field("grpc-status") == "0");
  CHECK(pair.client.answer(call).is_ended);
  CHECK(pair.client.answer(call).is_closed);
  CHECK(pair.client.answer(call).error_code == NGHTTP2_NO_ERROR);
  CHECK(pair.server->open_calls() == 0);
  CHECK(pair.take_events() == Events{"1 started /a.B/C", "1 message m"});
}

TEST_CASE("what is said of a call that is over has no effect") {
  ConnectionPair pair;
  const int32_t call = call_with_message(pair);
  pair.server->finish(call, Status(StatusCode::kInternal, "first"));
  pair.server->finish(call, Status(StatusCode::kNotFound, "second"));
  pair.reply(call, "late");
  pair.exchange();
  CHECK(pair.client.answer(call).field("grpc-message") == "first");
  CHECK(pair.client.answer(call).body.empty());
  pair.reply(call, "later");
  pair.server->finish(call, {});
  pair.server->message_taken(call);
  CHECK(pair.server->head(call) == nullptr);
  CHECK(pair.server->unsent_bytes(call) == 0);
  CHECK_FALSE(pair.server->wants_write());
}

TEST_CASE("output stops near its bound, and the rest stays with its call") {
  ConnectionPair pair({}, {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 24}});
  const int32_t call = call_with_message(pair);
  nghttp2_session_set_local_window_size(pair.client.get(), NGHTTP2_FLAG_NONE, 0, 1 << 24);
  pair.exchange();
  pair.reply(call, std::string(1 << 20, 'x'));
  pair.server->finish(call, {});
  CHECK(pair.server->unsent_bytes(call) == (1 << 20) + kPrefixBytes);
  std::string out;
  pair.server->take_output(out, 100'000, pair.now_ns);
  CHECK(out.size() >= 100'000);
  CHECK(out.size() < 200'000);
  const size_t unsent = pair.server->unsent_bytes(call);
  CHECK(unsent > (1 << 20) - 200'000);
  CHECK(pair.server->wants_write());
  pair.client.receive(out);
  const size_t received = pair.client.answer(call).body.size();
  CHECK(received + unsent == (1 << 20) + kPrefixBytes);
  SUBCASE("all of it goes out") {
    pair.exchange();
    CHECK(pair.client.answer(call).body == framed(std::string(1 << 20, 'x')));
    CHECK(pair.client.answer(call).field("grpc-status") == "0");
  }
  SUBCASE("a reset drops it") {
    pair.client.reset(call);
    pair.exchange();
    CHECK(pair.server->unsent_bytes(call) == 0);
    CHECK(pair.server->open_calls() == 0);
  }
}

TEST_CASE("output that is taken byte by byte is the same") {
  std::string whole;
  for (const size_t bound : {size_t{1} << 20, size_t{1}, size_t{20'000}}) {
    ConnectionPair pair;
    const int32_t call = call_with_message(pair);
    pair.reply(call, std::string(50'000, 'x'));
    pair.server->finish(call, {});
    std::string out;
    while (pair.server->wants_write()) {
      std::string part;
      pair.server->take_output(part, bound, pair.now_ns);
      out += part;
    }
    if (whole.empty()) whole = out;
    CHECK(out == whole);
  }
}

TEST_CASE("a status comes through while the client's window is closed, if nothing waits before it") {
  ConnectionPair pair({}, {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 6}});
  const int32_t call = call_with_message(pair);
  nghttp2_session_set_local_window_size(pair.client.get(), NGHTTP2_FLAG_NONE, call, 6);
  pair.reply(call, "r");
  pair.to_client();
  CHECK(pair.client.answer(call).body == framed("r"));
  pair.server->finish(call, Status(StatusCode::kInternal, "no more"));
  pair.to_client();
  CHECK(pair.client.answer(call).field("grpc-message") == "no more");
}

TEST_CASE("a reset cancels the call; one after the answer does not") {
  ConnectionPair pair;
  const int32_t call = call_with_message(pair);
  pair.client.reset(call);
  pair.exchange();
  CHECK(pair.take_events() == Events{"1 started /a.B/C", "1 message m", "1 half-closed", "1 cancelled"});
  const int32_t answered = call_with_message(pair);
  pair.server->finish(answered, {});
  pair.client.reset(answered);
  pair.exchange();
  CHECK(pair.take_events() == Events{"3 started /a.B/C", "3 message m", "3 half-closed"});
  CHECK(pair.server->open_calls() == 0);
}

TEST_CASE("the end of the transport cancels every open call") {
  ConnectionPair pair;
  const int32_t first = call_with_message(pair);
  call_with_message(pair, false);
  pair.server->finish(first, {});
  pair.take_events();
  pair.server->receive_end(pair.now_ns);
  CHECK(pair.server->finished());
  CHECK(pair.server->open_calls() == 0);
  CHECK_FALSE(pair.server->wants_write());
  pair.exchange();
  CHECK(pair.take_events() == Events{"3 cancelled"});
  CHECK(pair.server->next_wake_ns() == kNever);
}

}  // namespace npuserve::wire
