// What taking a connection's output brings about: h2 streams end by it, and clocks start.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "endpoint_session.h"

namespace npuserve::wire {
namespace {

using Events = std::vector<std::string>;

Token open_stream(EndpointSession& session, EndpointSession::Client& client) {
  const int32_t call = client.session.open("/a.B/Stream");
  session.exchange();
  return make_token(client.id, call);
}

}  // namespace

TEST_CASE("a connection is idle from its last answer on, however long that took, and then asked to go") {
  Limits limits;
  limits.max_connection_idle_ns = 10 * kSecond;
  EndpointSession session(limits);
  auto& client = session.connect();
  session.call(client, kInfer, infer_request("copy", "", std::string(16, 'x')));
  session.advance(25 * kSecond);
  session.sink->complete();
  session.deliver();
  CHECK(session.endpoint.next_wake_ns() == session.now_ns + 10 * kSecond);
  session.advance(9 * kSecond);
  CHECK(client.session.goaways.empty());
  session.advance(kSecond);
  CHECK_FALSE(client.session.goaways.empty());
}

TEST_CASE("an answer that a silent client leaves unread drops the connection, counted from when it was given") {
  EndpointSession session;
  auto& client = session.connect();
  const Token token = open_stream(session, client);
  session.advance(100 * kSecond);  // what was due of its beginning is done
  session.now_ns += 100 * kSecond;
  const std::string message(1 << 20, 'x');
  session.endpoint.send(token, std::as_bytes(std::span(message)), session.now_ns);
  std::string lost;
  session.endpoint.take_output(client.id, lost, SIZE_MAX, session.now_ns);
  REQUIRE(session.endpoint.unsent_bytes(token) > 0);
  session.now_ns += 59 * kSecond;
  session.endpoint.advance(session.now_ns);
  CHECK_FALSE(session.endpoint.find(client.id)->aborted());
  session.now_ns += kSecond;
  session.endpoint.advance(session.now_ns);
  CHECK(session.endpoint.find(client.id)->aborted());
}

TEST_CASE("a handler hears at once that its h2 stream was reset for what the client did") {
  EndpointSession session;
  auto& client = session.connect();
  const int32_t call = client.session.open("/a.B/Stream", {{"content-length", "3"}});
  client.session.send(call, framed("more than three"));
  session.exchange();
  REQUIRE(client.session.answer(call).is_closed);
  const Events events = session.handler_events();
  CHECK(std::ranges::count(events, "ended 1/" + std::to_string(call)) == 1);
  CHECK(session.endpoint.open_calls() == 0);
}

TEST_CASE("a goodbye that the client does not take ends by force") {
  EndpointSession session;
  auto& client = session.connect();
  open_stream(session, client);
  const std::string garbage(100, '\0');
  for (int i = 0; i < 200; ++i) {
    session.endpoint.receive(client.id, std::as_bytes(std::span(garbage)), session.now_ns);
  }
  std::string lost;
  session.endpoint.take_output(client.id, lost, SIZE_MAX, session.now_ns);
  Connection* const connection = session.endpoint.find(client.id);
  REQUIRE(connection->finished());
  REQUIRE_FALSE(connection->aborted());
  session.now_ns += 60 * kSecond;
  session.endpoint.advance(session.now_ns);
  CHECK(connection->aborted());
  CHECK(session.endpoint.open_calls() == 0);
}

}  // namespace npuserve::wire
