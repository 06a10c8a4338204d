// What is told of the requests that routes answered.
#include <doctest/doctest.h>

#include <string>

#include "endpoint_session.h"
#include "wire/observation.h"

namespace npuserve::wire {
namespace {

constexpr std::string_view kRow = "0123456789abcdef";
constexpr std::string_view kParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

}  // namespace

TEST_CASE("nothing is told of unless somebody asks") {
  EndpointSession session;
  auto& client = session.connect();
  session.call(client, kInfer, infer_request("copy", "", kRow));
  session.sink->complete();
  session.deliver();
  session.call(client, kInfer, infer_request("copy", "", "short"));
  CHECK(session.endpoint.observation().empty());
}

TEST_CASE("a request is told of with its timing, its instants and its client's trace") {
  EndpointSession session;
  session.endpoint.observation().ask_for(true, 0);
  auto& client = session.connect();
  const int64_t started_ns = session.now_ns;
  session.call(client, kInfer, infer_request("copy", "seven", kRow), {{"traceparent", std::string(kParent)}});
  session.sink->timing = {.batch_id = 5, .gear = 2, .batch_rows = 3};
  session.sink->complete();
  session.now_ns += 40;
  session.deliver();
  ObservedRequest told;
  REQUIRE(session.endpoint.observation().next(told));
  CHECK(told.model == "copy");
  CHECK(told.version == "3");
  CHECK(told.id == "seven");
  CHECK(told.status.ok());
  CHECK(told.started_ns == started_ns);
  CHECK(told.ended_ns == started_ns + 40);
  CHECK(told.timing.batch_id == 5);
  CHECK(told.timing.gear == 2);
  CHECK(told.timing.batch_rows == 3);
  CHECK(told.trace_parent == kParent);
  CHECK_FALSE(session.endpoint.observation().next(told));
}

TEST_CASE("refusals and failures are told of as their clients hear them") {
  EndpointSession session;
  session.endpoint.observation().ask_for(true, 0);
  auto& client = session.connect();
  session.call(client, kInfer, infer_request("copy", "a", "short"));
  session.call(client, kInfer, infer_request("copy", "b", kRow));
  session.sink->complete({core::StatusCode::kUnavailable, "Exceeds maximum queue size"});
  session.deliver();
  ObservedRequest told;
  REQUIRE(session.endpoint.observation().next(told));
  CHECK(told.id == "a");
  CHECK(told.status.code() == core::StatusCode::kInvalidArgument);
  CHECK(told.timing.batch_id == 0);
  REQUIRE(session.endpoint.observation().next(told));
  CHECK(told.status.message() == "[request id: b] Exceeds maximum queue size");
}

TEST_CASE("who asks for slow requests hears of those alone") {
  EndpointSession session;
  session.endpoint.observation().ask_for(false, 100);
  auto& client = session.connect();
  session.call(client, kInfer, infer_request("copy", "quick", kRow));
  session.call(client, kInfer, infer_request("copy", "slow", kRow));
  session.now_ns += 100;
  session.sink->complete();
  session.deliver();
  session.now_ns += 1;
  session.sink->complete();
  session.deliver();
  session.call(client, kInfer, infer_request("copy", "wrong", "short"));
  ObservedRequest told;
  REQUIRE(session.endpoint.observation().next(told));
  CHECK(told.id == "slow");
  CHECK(session.endpoint.observation().empty());
}

TEST_CASE("a request whose client has gone is not told of") {
  EndpointSession session;
  session.endpoint.observation().ask_for(true, 0);
  auto& client = session.connect();
  session.call(client, kInfer, infer_request("copy", "", kRow));
  core::Request executing = std::move(session.sink->held.front());
  session.sink->held.pop_front();
  session.close(client);
  executing.completion->complete({}, {});
  session.deliver();
  CHECK(session.endpoint.observation().empty());
}

}  // namespace npuserve::wire
