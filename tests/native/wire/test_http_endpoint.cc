// Requests on their way to sinks and handlers, and back.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "endpoint_session.h"
#include "http_pair.h"
#include "wire/http_endpoint.h"

namespace npuserve::wire {
namespace {

const std::string kRow = "0123456789abcdef";  // any sixteen bytes are four floats

std::string infer(std::string_view model, std::string_view id = "seven", std::string_view fields = "") {
  const std::string json = R"({"id":")" + std::string(id) +
                           R"(","inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","parameters":)"
                           R"({"binary_data_size":16}}],"parameters":{"binary_data_output":true}})";
  return "POST /v2/models/" + std::string(model) +
         "/infer HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(json.size() + kRow.size()) +
         "\r\nInference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n" + std::string(fields) + "\r\n" +
         json + kRow;
}

const std::string kGet = "GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n";

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

class HttpSession {
 public:
  explicit HttpSession(const HttpLimits& limits = {}) : endpoint(limits) {
    auto target = std::make_shared<InferTarget>(InferTarget{copy_interface(), sink});
    endpoint.set_routes({{"copy", "", target}, {"copy", "3", target}});
  }
  ~HttpSession() { sink->held.clear(); }  // the endpoint waits for every request
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  void receive(uint64_t connection, const std::string& bytes) {
    endpoint.receive(connection, std::as_bytes(std::span(bytes)), now_ns);
    endpoint.grant_waiting(now_ns);
    endpoint.submit_gathered();
  }

  std::string take(uint64_t connection) {
    std::string out;
    endpoint.take_output(connection, out, SIZE_MAX, now_ns);
    return out;
  }

  std::string complete(uint64_t connection, const core::Status& status = {}) {
    sink->complete(status);
    endpoint.deliver(now_ns);
    return take(connection);
  }

  std::vector<std::string> events() {
    std::vector<std::string> texts;
    HttpEvent event;
    while (endpoint.next_event(event)) {
      texts.push_back((event.kind == HttpEvent::Kind::kStarted ? "started " : "ended ") +
                      std::to_string(event.connection));
    }
    return texts;
  }

  int64_t now_ns = 1'000 * kSecond;
  std::shared_ptr<HeldSink> sink = std::make_shared<HeldSink>();
  HttpEndpoint endpoint;
};

using Events = std::vector<std::string>;

}  // namespace

TEST_CASE("a binary inference whose model has a route is answered through its sink and never becomes a handler's") {
  HttpSession session;
  const uint64_t client = session.endpoint.open(session.now_ns);
  session.receive(client, infer("copy"));
  REQUIRE(session.sink->held.size() == 1);
  CHECK(session.sink->held[0].inputs[0].shape == core::Shape{1, 4});
  CHECK(session.sink->held[0].arrival_ns == session.now_ns);
  CHECK(session.endpoint.open_requests() == 1);
  CHECK(session.endpoint.budget().used_bytes() > 0);
  CHECK(!session.endpoint.is_quiet());

  const std::string json =
      R"({"id":"seven","model_name":"copy","model_version":"3","outputs":[{"name":"y","datatype":"FP32",)"
      R"("shape":[1,4],"parameters":{"binary_data_size":16}}]})";
  CHECK(session.complete(client) ==
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nInference-Header-Content-Length: " +
            std::to_string(json.size()) + "\r\nContent-Length: " + std::to_string(json.size() + 16) + "\r\n\r\n" +
            json + kRow);
  CHECK(session.events().empty());
  CHECK(session.endpoint.is_quiet());
  CHECK(session.endpoint.budget().used_bytes() == 0);
}

TEST_CASE("the requests of a pipeline are answered in order, natively or by handlers") {
  HttpSession session;
  const uint64_t client = session.endpoint.open(session.now_ns);
  session.receive(client, infer("copy", "one") + kGet + infer("copy", "two"));
  CHECK(session.sink->held.size() == 1);
  CHECK(has(session.complete(client), "\"id\":\"one\""));
  CHECK(session.events() == Events{"started 1"});
  CHECK(session.sink->held.empty());
  session.endpoint.respond(client, 200, {}, {}, session.now_ns);
  session.endpoint.submit_gathered();
  CHECK(has(session.take(client), "Content-Length: 0\r\n"));
  REQUIRE(session.sink->held.size() == 1);
  CHECK(has(session.complete(client), "\"id\":\"two\""));
}

TEST_CASE("what a round brought from several connections goes to the sink in one piece") {
  HttpSession session;
  const std::string bytes = infer("copy");
  for (int i = 0; i < 3; ++i) {
    session.endpoint.receive(session.endpoint.open(session.now_ns), std::as_bytes(std::span(bytes)), session.now_ns);
  }
  CHECK(session.endpoint.has_gathered());
  session.endpoint.submit_gathered();
  CHECK(session.sink->held.size() == 3);
  CHECK(session.sink->wakes == 1);
}

TEST_CASE("a request without a route, or that would be refused, is a handler's with its whole body") {
  for (const std::string& bytes : {infer("other"), infer("copy/versions/4"), infer("copy", "seven", "X: y\r\n")}) {
    HttpSession session;
    const bool is_copy = has(bytes, "/copy/infer");
    std::string sent = bytes;
    if (is_copy) sent.replace(sent.find("\"shape\":[1,4]"), 13, "\"shape\":[2,4]");
    const uint64_t client = session.endpoint.open(session.now_ns);
    session.receive(client, sent);
    CHECK(session.sink->held.empty());
    CHECK(session.events() == Events{"started 1"});
    CHECK(text_of(session.endpoint.find(client)->body()).ends_with(kRow));
  }
}

TEST_CASE("a failure is told with its HTTP status, the connection goes on, and the log hears of INTERNAL alone") {
  const std::map<core::StatusCode, int> statuses{
      {core::StatusCode::kInternal, 500},        {core::StatusCode::kNotFound, 404},
      {core::StatusCode::kUnavailable, 503},     {core::StatusCode::kUnimplemented, 501},
      {core::StatusCode::kInvalidArgument, 400}, {core::StatusCode::kCancelled, 400}};
  HttpSession session;
  const uint64_t client = session.endpoint.open(session.now_ns);
  for (const auto& [code, status] : statuses) {
    session.receive(client, infer("copy"));
    const std::string answer = session.complete(client, {code, "say \"why\""});
    CHECK(status_of(answer) == status);
    CHECK(has(answer, "\r\n\r\n{\"error\":\"say \\\"why\\\"\"}"));
    Failure failure;
    CHECK(session.endpoint.next_failure(failure) == (status == 500));
  }
  session.receive(client, infer("copy"));
  CHECK(has(session.complete(client, {core::StatusCode::kUnavailable, "Exceeds maximum queue size"}),
            "{\"error\":\"[request id: seven] Exceeds maximum queue size\"}"));
}

TEST_CASE("a client that goes cancels its request, and what was executed all the same is dropped") {
  HttpSession session;
  const uint64_t waiting = session.endpoint.open(session.now_ns);
  session.receive(waiting, infer("copy"));
  session.endpoint.close(waiting, session.now_ns);
  CHECK(session.sink->cancelled.size() == 1);
  session.endpoint.deliver(session.now_ns);
  CHECK(session.endpoint.is_quiet());
  CHECK(session.endpoint.budget().used_bytes() == 0);

  const uint64_t handled = session.endpoint.open(session.now_ns);
  session.receive(handled, kGet);
  session.endpoint.close(handled, session.now_ns);
  CHECK(session.events() == Events{"started 2", "ended 2"});
  session.endpoint.respond(handled, 200, {}, {}, session.now_ns);
  CHECK(session.endpoint.connections() == 0);
}

TEST_CASE("a request's name among a sink's differs from those of the gRPC endpoint") {
  HttpSession http;
  http.receive(http.endpoint.open(http.now_ns), infer("copy"));
  EndpointSession grpc;
  auto& client = grpc.connect();
  grpc.call(client, kInfer, infer_request("copy", "", kRow));
  CHECK((http.sink->held[0].token >> 63) == 1);
  CHECK((grpc.sink->held[0].token >> 63) == 0);
}

TEST_CASE("while it shuts down it refuses new requests, finishes accepted ones, and closes idle connections") {
  HttpSession session;
  const uint64_t idle = session.endpoint.open(session.now_ns);
  const uint64_t busy = session.endpoint.open(session.now_ns);
  session.receive(busy, infer("copy"));
  session.endpoint.refuse_new_requests(503, "Server exiting", session.now_ns);
  CHECK(session.endpoint.find(idle)->finished());
  CHECK(!session.endpoint.find(busy)->finished());
  std::vector<uint64_t> touched;
  session.endpoint.take_touched(touched);
  CHECK(touched == std::vector<uint64_t>{idle});
  const std::string answer = session.complete(busy);
  CHECK(status_of(answer) == 200);
  CHECK(has(answer, "Connection: close\r\n"));

  const uint64_t late = session.endpoint.open(session.now_ns);
  session.receive(late, kGet);
  const std::string refusal = session.take(late);
  CHECK(status_of(refusal) == 503);
  CHECK(has(refusal, "Connection: close\r\n"));
  CHECK(refusal.ends_with("{\"error\":\"Server exiting\"}"));
  CHECK(session.events().empty());
  CHECK(session.endpoint.open_requests() == 0);
}

TEST_CASE("time passes for every connection, by one wake at the earliest instant") {
  HttpSession session;
  const uint64_t silent = session.endpoint.open(session.now_ns);
  const uint64_t slow = session.endpoint.open(session.now_ns);
  session.receive(slow, "GET");
  const HttpLimits& limits = session.endpoint.limits();
  CHECK(session.endpoint.next_wake_ns() == session.now_ns + limits.head_timeout_ns);
  session.now_ns += limits.head_timeout_ns;
  session.endpoint.advance(session.now_ns);
  CHECK(status_of(session.take(slow)) == 408);
  CHECK(!session.endpoint.find(silent)->finished());
  session.now_ns += limits.keepalive_timeout_ns;
  session.endpoint.advance(session.now_ns);
  CHECK(session.endpoint.find(silent)->finished());
  CHECK(session.endpoint.find(slow)->aborted());
}

TEST_CASE("observers are told of native requests, with the trace that they belong to") {
  HttpSession session;
  session.endpoint.observation().ask_for(true, 0);
  const uint64_t client = session.endpoint.open(session.now_ns);
  session.receive(client, infer("copy", "seven", "traceparent: 00-1\r\n"));
  session.complete(client);
  ObservedRequest observed;
  REQUIRE(session.endpoint.observation().next(observed));
  CHECK(observed.model == "copy");
  CHECK(observed.id == "seven");
  CHECK(observed.trace_parent == "00-1");
  CHECK(observed.status.ok());
}

TEST_CASE("a stream's pieces follow its head, and its end lets the next request be answered") {
  HttpSession session;
  const uint64_t client = session.endpoint.open(session.now_ns);
  session.receive(client, kGet + kGet);
  CHECK(session.events() == Events{"started 1"});
  session.endpoint.start_stream(client, 200, {{"Content-Type", "text/event-stream"}}, session.now_ns);
  const std::string piece = "data: 1\n\n";
  session.endpoint.send(client, std::as_bytes(std::span(piece)), session.now_ns);
  // Neither a second head nor a whole answer fits in between.
  session.endpoint.start_stream(client, 500, {}, session.now_ns);
  session.endpoint.respond(client, 500, {}, {}, session.now_ns);
  CHECK(session.take(client) ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n" + piece +
            "\r\n");
  CHECK(session.endpoint.open_requests() == 1);
  session.endpoint.end_stream(client, session.now_ns);
  CHECK(session.events() == Events{"started 1"});
  CHECK(session.take(client) == "0\r\n\r\n");
}

}  // namespace npuserve::wire
