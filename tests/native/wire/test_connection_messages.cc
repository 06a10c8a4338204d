#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "connection_pair.h"
#include "wire/compression.h"

namespace npuserve::wire {
namespace {

using Events = std::vector<std::string>;

std::string compressed(std::string_view message) {
  const Buffer bytes = compress(Encoding::kGzip, std::as_bytes(std::span(message)), 6, 0);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void check_refused(const Answer& answer, std::string_view code, std::string_view message) {
  CHECK(answer.field("grpc-status") == code);
  CHECK(answer.field("grpc-message") == message);
}

// What a server hears of these bytes when they come in pieces that end where `cut` says.
template <typename Cut>
Events hear(std::string_view bytes, Cut cut) {
  const Limits limits;
  MemoryBudget budget(limits.memory_budget_bytes, limits.max_waiting_calls);
  Connection server(1, limits, budget, 0);
  Events events;
  std::string out;
  while (!bytes.empty()) {
    const size_t size = cut(bytes.size());
    server.receive(std::as_bytes(std::span(bytes.substr(0, size))), 0);
    bytes.remove_prefix(size);
    while (const std::optional<Event> event = server.next_event()) events.push_back(describe(*event, server));
    server.take_output(out, SIZE_MAX, 0);
  }
  return events;
}

}  // namespace

TEST_CASE("however the bytes are cut, the same is heard") {
  ClientSession client;
  for (int i = 0; i < 5; ++i) {
    const int32_t call = client.open("/a.B/C", {{"x", std::to_string(i)}, {"grpc-encoding", "gzip"}});
    client.send(call, framed("one") + framed("") + framed(std::string(300, 'x')));
    client.send(call, framed(compressed("squeezed"), 1), i != 3);
    if (i == 4) client.reset(call);
  }
  const int32_t silent = client.open("/a.B/None", {}, true);
  const std::string bytes = client.take();
  const Events whole = hear(bytes, [](size_t rest) { return rest; });
  REQUIRE(whole.size() == 3 * 6 + 5 + 2);
  CHECK(std::ranges::find(whole, std::to_string(silent) + " half-closed") != whole.end());
  CHECK(hear(bytes, [](size_t) { return 1; }) == whole);
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    CHECK(hear(bytes, [&](size_t rest) { return std::min<size_t>(rest, 1 + random() % 40); }) == whole);
  }
}

TEST_CASE("a message of 16 MB comes without waiting for credit more than once") {
  ConnectionPair pair;
  const size_t size = 16 << 20;
  const int32_t call = pair.client.open("/a.B/C");
  pair.client.send(call, framed(std::string(size, 'x')), true);
  pair.to_server();  // the head and 64 KiB
  pair.to_client();  // credit for all of it, and the byte by which our initial window is above HTTP/2's
  CHECK(nghttp2_session_get_stream_remote_window_size(pair.client.get(), call) ==
        static_cast<int32_t>(size + kPrefixBytes) - 65535 + 1);
  pair.exchange();
  CHECK(pair.take_events() == Events{"1 started /a.B/C", "1 message of 16777216", "1 half-closed"});
  REQUIRE(pair.messages.size() == 1);
  CHECK(pair.messages[0].bytes.capacity() == size);
  CHECK(pair.budget.used_bytes() >= size);
  pair.messages.clear();
  CHECK(pair.budget.used_bytes() == 0);
}

TEST_CASE("a client that streams gets its window back as its messages are taken") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C");
  for (int i = 0; i < 20; ++i) pair.client.send(call, framed(std::string(10'000, 'x')));
  pair.exchange();
  CHECK(pair.messages.size() == 7);  // the seventh is begun within the window, and so gets credit for its rest
  for (size_t taken = 0; taken < 20; ++taken) {
    REQUIRE(pair.messages.size() > taken);
    pair.server->message_taken(call);
    pair.exchange();
  }
  CHECK(pair.messages.size() == 20);
  CHECK(nghttp2_session_get_stream_remote_window_size(pair.client.get(), call) >= 3 * 16 * 1024);
}

TEST_CASE("messages that find no room wait, and are heard in order when it is there") {
  Limits limits;
  limits.memory_budget_bytes = 100'000;
  ConnectionPair pair(limits);
  const int32_t first = pair.client.open("/a.B/First");
  pair.client.send(first, framed(std::string(90'000, 'x')), true);
  pair.exchange();
  const int32_t second = pair.client.open("/a.B/Second");
  pair.client.send(second, framed(std::string(80'000, 'y')), true);
  const int32_t third = pair.client.open("/a.B/Third");
  pair.client.send(third, framed("small") + framed("as well"), true);
  pair.exchange();
  CHECK(pair.take_events() == Events{"1 started /a.B/First", "1 message of 90000", "1 half-closed",
                                     "3 started /a.B/Second", "5 started /a.B/Third"});
  CHECK(pair.budget.waiting() == 2);
  CHECK(pair.budget.grant_waiting().empty());
  pair.messages.clear();
  for (auto& [waiter, room] : pair.budget.grant_waiting()) {
    pair.server->grant(waiter.stream_id, std::move(room), pair.now_ns);
  }
  pair.exchange();
  CHECK(pair.take_events() ==
        Events{"5 message small", "5 message as well", "5 half-closed", "3 message of 80000", "3 half-closed"});
  pair.messages.clear();
  CHECK(pair.budget.used_bytes() == 0);
  CHECK(pair.budget.waiting() == 0);
}

TEST_CASE("a call that is gone does not wait for memory any more, nor does a connection that is") {
  Limits limits;
  limits.memory_budget_bytes = 1000;
  ConnectionPair pair(limits);
  const int32_t first = pair.client.open("/a.B/First");
  pair.client.send(first, framed(std::string(700, 'x')), true);
  const int32_t second = pair.client.open("/a.B/Second");
  pair.client.send(second, framed(std::string(700, 'x')), true);
  const int32_t third = pair.client.open("/a.B/Third");
  pair.client.send(third, framed(std::string(700, 'x')), true);
  pair.exchange();
  CHECK(pair.budget.waiting() == 2);
  pair.client.reset(second);
  pair.exchange();
  CHECK(pair.budget.waiting() == 1);
  SUBCASE("closed") { pair.server->receive_end(pair.now_ns); }
  SUBCASE("destroyed") { pair.server.reset(); }
  SUBCASE("answered") { pair.server->finish(third, {}); }
  CHECK(pair.budget.waiting() == 0);
}

TEST_CASE("one call too many that waits for memory is refused") {
  Limits limits;
  limits.memory_budget_bytes = 1000;
  limits.max_waiting_calls = 0;
  ConnectionPair pair(limits);
  for (int i = 0; i < 2; ++i) {
    const int32_t call = pair.client.open("/a.B/C");
    pair.client.send(call, framed(std::string(700, 'x')), true);
    pair.exchange();
  }
  check_refused(pair.client.answer(3), "8",
                "The server's memory for messages is used up, and too many calls wait for it");
  CHECK(pair.take_events() ==
        Events{"1 started /a.B/C", "1 message of 700", "1 half-closed", "3 started /a.B/C", "3 cancelled"});
}

TEST_CASE("a message beyond the limit ends its call at its prefix, and the rest of it is passed over") {
  Limits limits;
  limits.max_message_bytes = 1000;
  ConnectionPair pair(limits);
  const int32_t call = pair.client.open("/a.B/C");
  pair.client.send(call, framed(std::string(1000, 'x')) + framed(std::string(1001, 'x')).substr(0, 5));
  pair.exchange();
  CHECK(pair.take_events() == Events{"1 started /a.B/C", "1 message of 1000", "1 cancelled"});
  check_refused(pair.client.answer(call), "8", "SERVER: Received message larger than max (1001 vs. 1000)");
  CHECK(pair.client.answer(call).error_code == NGHTTP2_NO_ERROR);
  CHECK(pair.client.answer(call).is_closed);
  pair.messages.clear();
  CHECK(pair.budget.used_bytes() == 0);
}

TEST_CASE("more than the connection's window of refused messages leaves the connection its window") {
  Limits limits;
  limits.max_message_bytes = 1000;
  ConnectionPair pair(limits);
  for (int i = 0; i < 400; ++i) {
    const int32_t call = pair.client.open("/a.B/C");
    pair.client.send(call, framed(std::string(60'000, 'x')), true);
    pair.exchange();
    REQUIRE(pair.client.answer(call).field("grpc-status") == "8");
  }
  CHECK(nghttp2_session_get_remote_window_size(pair.client.get()) > 1 << 20);
}

TEST_CASE("compressed messages come out plain") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C", {{"grpc-encoding", "gzip"}});
  pair.client.send(call, framed(compressed("hello"), 1) + framed("plain"), true);
  pair.exchange();
  CHECK(pair.take_events() == Events{"1 started /a.B/C", "1 message hello", "1 message plain", "1 half-closed"});
}

TEST_CASE("bad compression is refused in grpc-core's words") {
  Limits limits;
  limits.max_message_bytes = 1000;
  ConnectionPair pair(limits);
  const auto ask = [&](std::string_view encoding, const std::string& bytes) {
    const int32_t call = pair.client.open("/a.B/C", {{"grpc-encoding", std::string(encoding)}});
    pair.client.send(call, bytes, true);
    pair.exchange();
    return pair.client.answer(call);
  };
  check_refused(ask("identity", framed("x", 1)), "13", "Compression bit set but no encoding configured");
  check_refused(ask("gzip", framed("nonsense", 1)), "13", "Decompression failed due to zlib error");
  check_refused(ask("gzip", framed(compressed(std::string(1001, 'x')), 1)), "8",
                "Decompressed message larger than max");
  check_refused(ask("gzip", framed("x", 2)), "13", "Bad flags of a message's prefix");
  CHECK(ask("gzip", framed(compressed(std::string(1000, 'x')), 1)).field("grpc-status") == "");
  pair.messages.clear();
  CHECK(pair.budget.used_bytes() == 0);
}

TEST_CASE("a message that decompresses beyond the memory that is free is refused") {
  Limits limits;
  limits.memory_budget_bytes = 1000;
  ConnectionPair pair(limits);
  for (const size_t size : {900, 999, 1001}) {
    const int32_t call = pair.client.open("/a.B/C", {{"grpc-encoding", "gzip"}});
    pair.client.send(call, framed(compressed(std::string(size, 'x')), 1), true);
    pair.exchange();
    CHECK(pair.budget.used_bytes() <= 1000);
    pair.messages.clear();
    CHECK(pair.budget.used_bytes() == 0);
  }
  CHECK(pair.client.answer(5).field("grpc-status") == "8");
}

TEST_CASE("a message that is cut off by the end of the h2 stream is none") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C");
  pair.client.send(call, framed("whole") + framed("cut off").substr(0, 8), true);
  pair.exchange();
  CHECK(pair.take_events() == Events{"1 started /a.B/C", "1 message whole", "1 half-closed"});
  pair.messages.clear();
  CHECK(pair.budget.used_bytes() == 0);
}

}  // namespace npuserve::wire
