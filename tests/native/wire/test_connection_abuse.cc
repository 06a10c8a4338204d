#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "connection_pair.h"

namespace npuserve::wire {
namespace {

using Events = std::vector<std::string>;

std::string frame(uint8_t type, uint8_t flags, uint32_t stream_id, std::string_view payload) {
  std::string out;
  for (const unsigned shift : {16U, 8U, 0U}) out += static_cast<char>(payload.size() >> shift & 0xffU);
  out += {static_cast<char>(type), static_cast<char>(flags)};
  for (const unsigned shift : {24U, 16U, 8U, 0U}) out += static_cast<char>(stream_id >> shift & 0xffU);
  return out.append(payload);
}

void give(ConnectionPair& pair, std::string_view bytes) {
  pair.server->receive(std::as_bytes(std::span(bytes)), pair.now_ns);
}

void check_calmed(ConnectionPair& pair, std::string_view text) {
  pair.to_client();
  REQUIRE(pair.client.goaways.size() == 1);
  CHECK(pair.client.goaways[0].error_code == NGHTTP2_ENHANCE_YOUR_CALM);
  CHECK(pair.client.goaways[0].text == text);
  CHECK(pair.server->finished());
  CHECK_FALSE(pair.server->wants_write());
}

}  // namespace

TEST_CASE("bytes that are not HTTP/2 finish the connection") {
  for (const std::string_view bytes :
       {std::string_view("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string_view("PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n"),
        std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 some TLS hello", 32)}) {
    ConnectionPair pair;
    give(pair, bytes);
    CHECK(pair.server->finished());
    CHECK(pair.take_events().empty());
  }
}

TEST_CASE("garbage of any kind never does harm") {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    ConnectionPair pair;
    const int32_t call = pair.client.open("/a.B/C", {{"x", "y"}});
    pair.client.send(call, framed(std::string(300, 'x')), round % 2 == 0);
    std::string bytes = pair.client.take();
    const size_t changes = 1 + random() % 8;
    for (size_t i = 0; i < changes; ++i) bytes[24 + random() % (bytes.size() - 24)] = static_cast<char>(random());
    give(pair, bytes);
    std::string out;
    pair.server->take_output(out, SIZE_MAX, pair.now_ns);
    pair.server->finish(call, {});
    pair.server->take_output(out, SIZE_MAX, pair.now_ns);
    pair.server->receive_end(pair.now_ns);
    CHECK(pair.server->open_calls() == 0);
    while (pair.server->next_event()) {
    }
    CHECK(pair.budget.used_bytes() == 0);
  }
}

TEST_CASE("resets beyond the limit of a second are too many") {
  Limits limits;
  limits.max_resets_per_second = 10;
  ConnectionPair pair(limits);
  for (int i = 0; i < 10; ++i) {
    const int32_t call = pair.client.open("/a.B/C");
    pair.to_server();
    pair.client.reset(call);
    pair.to_server();
  }
  CHECK_FALSE(pair.server->finished());
  CHECK(pair.server->open_calls() == 0);
  SUBCASE("at once") {
    const int32_t call = pair.client.open("/a.B/C");
    pair.to_server();
    pair.client.reset(call);
    pair.to_server();
    check_calmed(pair, "too_many_resets");
  }
  SUBCASE("a second later they are not") {
    pair.advance(kSecond);
    const int32_t call = pair.client.open("/a.B/C");
    pair.to_server();
    pair.client.reset(call);
    pair.exchange();
    CHECK(pair.client.goaways.empty());
  }
}

TEST_CASE("what a client makes us reset counts like its own resets") {
  Limits limits;
  limits.max_resets_per_second = 10;
  ConnectionPair pair(limits);
  pair.exchange();
  for (int i = 0; i < 12; ++i) {
    std::vector<Field> fields = request_fields("/a.B/C");
    fields.emplace_back("connection", "close");  // forbidden in HTTP/2: nghttp2 resets the h2 stream
    pair.client.open_with(fields, false);
    pair.to_server();
    std::string out;
    pair.server->take_output(out, SIZE_MAX, pair.now_ns);
    pair.client.receive(out);
  }
  CHECK(pair.server->finished());
  REQUIRE(pair.client.goaways.size() == 1);
  CHECK(pair.client.goaways[0].error_code == NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_CASE("pings that come too often are too many") {
  ConnectionPair pair;
  pair.client.open("/a.B/C");
  pair.exchange();
  for (int i = 0; i < 3; ++i) {
    pair.client.ping();
    pair.exchange();
  }
  CHECK(pair.client.ping_acks == 3);
  CHECK(pair.client.goaways.empty());
  pair.client.ping();
  pair.to_server();
  check_calmed(pair, "too_many_pings");
}

TEST_CASE("data that we send forgives pings") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C");
  pair.exchange();
  for (int i = 0; i < 20; ++i) {
    pair.client.ping();
    pair.reply(call, "news");
    pair.exchange();
  }
  CHECK(pair.client.ping_acks == 20);
  CHECK(pair.client.goaways.empty());
}

TEST_CASE("floods of frames that bring nothing end the connection, with little kept") {
  ConnectionPair pair;
  pair.client.open("/a.B/C");
  pair.exchange();
  std::string flood;
  SUBCASE("empty DATA") { flood = frame(NGHTTP2_DATA, 0, 1, ""); }
  SUBCASE("PRIORITY") { flood = frame(NGHTTP2_PRIORITY, 0, 1, std::string("\0\0\0\0\x10", 5)); }
  SUBCASE("WINDOW_UPDATE") { flood = frame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string("\0\0\0\1", 4)); }
  SUBCASE("SETTINGS acks nobody asked for") { flood = frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, ""); }
  SUBCASE("SETTINGS") { flood = frame(NGHTTP2_SETTINGS, 0, 0, ""); }
  SUBCASE("PING acks") { flood = frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, std::string(8, 'x')); }
  for (int i = 0; i < 11'000 && !pair.server->finished(); ++i) give(pair, flood);
  std::string out;
  pair.server->take_output(out, SIZE_MAX, pair.now_ns);
  CHECK(out.size() < 64 * 1024);
  CHECK(pair.server->finished());
}

TEST_CASE("frames of unknown types are passed over and leave nothing behind") {
  ConnectionPair pair;
  pair.exchange();
  for (int i = 0; i < 1000; ++i) give(pair, frame(0x77, 0, 0, "x"));
  CHECK_FALSE(pair.server->wants_write());
  CHECK_FALSE(pair.server->finished());
}

TEST_CASE("a header block without end is cut off") {
  ConnectionPair pair;
  pair.exchange();
  give(pair, frame(NGHTTP2_HEADERS, 0, 1, ""));
  for (int i = 0; i < 200 && !pair.server->finished(); ++i) {
    give(pair, frame(NGHTTP2_CONTINUATION, 0, 1, ""));
    std::string out;
    pair.server->take_output(out, SIZE_MAX, pair.now_ns);
  }
  CHECK(pair.server->finished());
}

TEST_CASE("a client that only makes us reset and reads nothing fills no memory") {
  ConnectionPair pair;
  pair.exchange();
  constexpr uint8_t kWhole = NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM;
  for (uint32_t stream_id = 1; stream_id < 60'000; stream_id += 2) {
    give(pair, frame(NGHTTP2_HEADERS, kWhole, stream_id, "\x88"));  // ":status: 200" is no request
  }
  std::string output;
  pair.server->take_output(output, SIZE_MAX, pair.now_ns);
  CHECK(output.size() < 64 * 1024);
  CHECK(pair.server->finished());
}

TEST_CASE("more calls at once than announced are refused by the protocol") {
  Limits limits;
  limits.max_concurrent_streams = 3;
  ConnectionPair pair(limits);
  for (int i = 0; i < 5; ++i) pair.client.open("/a.B/C");  // before the client has our SETTINGS
  pair.exchange();
  CHECK(pair.server->open_calls() == 3);
  CHECK(pair.take_events().size() == 3);
  CHECK(pair.client.server_settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS] == 3);
}

TEST_CASE("shutting down lets open calls end and opens no new ones") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C", {}, true);
  pair.exchange();
  pair.server->shut_down(pair.now_ns);
  const int32_t refused = pair.client.open("/a.B/Refused", {}, true);
  pair.exchange();
  REQUIRE(pair.client.goaways.size() == 1);
  CHECK(pair.client.goaways[0].error_code == NGHTTP2_NO_ERROR);
  CHECK(pair.client.goaways[0].last_stream_id == INT32_MAX);
  CHECK(pair.client.answer(refused).error_code == NGHTTP2_REFUSED_STREAM);
  CHECK_FALSE(pair.server->finished());
  pair.server->finish(call, {});
  pair.exchange();
  CHECK(pair.client.answer(call).field("grpc-status") == "0");
  CHECK(pair.client.goaways.size() == 2);
  CHECK(pair.client.goaways.back().last_stream_id == refused);
  CHECK(pair.server->finished());
  CHECK_FALSE(pair.server->aborted());
  CHECK(pair.take_events() == Events{"1 started /a.B/C", "1 half-closed"});
}

TEST_CASE("shutting down with no call open is over at once") {
  ConnectionPair pair;
  pair.exchange();
  pair.server->shut_down(pair.now_ns);
  CHECK_FALSE(pair.server->finished());
  pair.to_client();
  CHECK(pair.server->finished());
  CHECK(pair.client.goaways.size() == 2);
}

TEST_CASE("calls that come after an announced shutdown are events as ever") {
  ConnectionPair pair;
  pair.exchange();
  pair.server->announce_shutdown();
  pair.server->announce_shutdown();
  const int32_t call = pair.client.open("/a.B/C", {}, true);
  pair.exchange();
  CHECK(pair.client.goaways.size() == 1);
  CHECK(pair.take_events() == Events{"1 started /a.B/C", "1 half-closed"});
  pair.server->finish(call, {});
  pair.exchange();
  CHECK(pair.client.answer(call).field("grpc-status") == "0");
}

}  // namespace npuserve::wire
