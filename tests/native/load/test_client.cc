#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "load/client.h"
#include "loopback_server.h"
#include "server_frames.h"

namespace npuserve::load {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

ClientOptions options_for(const LoopbackServer& server, Protocol protocol) {
  ClientOptions options;
  options.address = "127.0.0.1";
  options.port = server.port();
  options.protocol = protocol;
  options.head = {{":method", "POST"}, {":scheme", "http"}, {":path", "/s/m"}, {":authority", "a"}};
  options.requests = {"POST / HTTP/1.1\r\n\r\n"};
  return options;
}

// Runs until so many requests have been answered.
uint64_t run_until(Client& client, uint64_t answers, Failures* failed = nullptr) {
  const int64_t end_ns = core::steady_now_ns() + 60 * kSecondNs;
  uint64_t found = 0;
  while (found < answers && core::steady_now_ns() < end_ns) {
    client.run(core::steady_now_ns() + kSecondNs / 100);
    const Tally& tally = client.take();
    found += tally.latency.total();
    for (const auto& [code, of] : tally.failures) {
      REQUIRE(failed != nullptr);
      failed->count += of.count;
      failed->example = of.example;
    }
  }
  return found;
}

TEST_CASE("a closed loop over HTTP goes on until it is told to stop, and leaves nothing unanswered") {
  const LoopbackServer server([](std::string_view) { return std::string(kAnswer); });
  ClientOptions options = options_for(server, Protocol::kHttp);
  options.kept_answers = 1;
  Client client(options);
  CHECK(client.connect(core::steady_now_ns() + 10 * kSecondNs).empty());
  client.start(core::steady_now_ns());
  CHECK(run_until(client, 50) >= 50);
  client.drain(core::steady_now_ns() + 10 * kSecondNs);
  CHECK(client.in_flight() == 0);
  CHECK(client.answers().at(0) == "ok");
}

TEST_CASE("a connection that breaks again and again is made anew, and each break fails one request") {
  int parts = 0;
  const LoopbackServer server([&parts](std::string_view) -> std::optional<std::string> {
    if (++parts % 5 == 0) return std::nullopt;
    return std::string(kAnswer);
  });
  Client client(options_for(server, Protocol::kHttp));
  client.start(core::steady_now_ns());
  Failures failed;
  const uint64_t answered = run_until(client, 12, &failed);
  CHECK(answered >= 12);
  CHECK(failed.count >= 2);
  CHECK(failed.count <= answered / 4 + 1);
  CHECK(failed.example == "the server closed the connection");
}

TEST_CASE("calls over gRPC are answered by their streams, several at once") {
  std::string unread;
  bool has_greeted = false;
  const LoopbackServer server([&](std::string_view received) -> std::optional<std::string> {
    unread += received;
    std::string reply;
    if (!has_greeted) {
      unread.erase(0, kPrefaceBytes);
      reply = greeting(2);
      has_greeted = true;
    }
    for (const Frame& each : frames_of(unread)) {
      if (each.type == kDataFrame && (each.flags & kEndStream) != 0) reply += answer(each.stream_id, "yes");
    }
    unread.clear();  // the client writes whole frames, and little at a time
    return reply;
  });
  ClientOptions options = options_for(server, Protocol::kGrpc);
  options.requests = {prefixed("ask")};
  options.concurrency = 4;
  Client client(options);
  CHECK(client.connect(core::steady_now_ns() + 10 * kSecondNs).empty());
  client.start(core::steady_now_ns());
  CHECK(run_until(client, 50) >= 50);
  // The server lets in two, though four would be sent.
  CHECK(client.in_flight() <= 2);
}

TEST_CASE("an open loop sends as many as are due, and none before") {
  const LoopbackServer server([](std::string_view) { return std::string(kAnswer); });
  ClientOptions options = options_for(server, Protocol::kHttp);
  options.arrivals = {.per_second = 500};
  Client client(options);
  CHECK(client.connect(core::steady_now_ns() + 10 * kSecondNs).empty());
  const int64_t start_ns = core::steady_now_ns();
  client.start(start_ns);
  client.run(start_ns + kSecondNs / 5);
  const auto passed_ns = static_cast<double>(core::steady_now_ns() - start_ns);
  const Tally& tally = client.take();
  CHECK(tally.sent > 0);
  CHECK(static_cast<double>(tally.sent) <= passed_ns / 1e9 * 500 + 1);
  CHECK(tally.latency.max_ns() >= tally.service.max_ns());
}

TEST_CASE("a server that is not there is told when connecting, and counted when running") {
  auto server = std::make_unique<LoopbackServer>([](std::string_view) { return std::string(kAnswer); });
  const ClientOptions options = options_for(*server, Protocol::kHttp);
  server.reset();
  Client client(options);
  CHECK(client.connect(core::steady_now_ns() + 10 * kSecondNs).find("refused") != std::string::npos);
  client.start(core::steady_now_ns());
  client.run(core::steady_now_ns() + kSecondNs / 4);
  const Tally& tally = client.take();
  CHECK(tally.sent == 0);
  CHECK(tally.failures.at(kConnectionFailed).count >= 1);
}

}  // namespace
}  // namespace npuserve::load
