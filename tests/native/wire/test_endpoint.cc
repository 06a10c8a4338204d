#include <doctest/doctest.h>

#include <span>
#include <string>
#include <vector>

#include "endpoint_session.h"
#include "protobuf_fields.h"
#include "wire/framing.h"

namespace npuserve::wire {

using Events = std::vector<std::string>;

namespace {

constexpr std::string_view kRow = "0123456789abcdef";  // any sixteen bytes are four floats

std::string text_of(const Buffer* message) {
  return message == nullptr ? "none" : std::string(reinterpret_cast<const char*>(message->data()), message->size());
}

}  // namespace

TEST_CASE("a ModelInfer whose model has a route is answered through its sink and never becomes a handler's") {
  EndpointSession session;
  auto& client = session.connect();
  const int32_t call = session.call(client, kInfer, infer_request("copy", "seven", kRow));
  REQUIRE(session.sink->held.size() == 1);
  CHECK(session.sink->held[0].inputs[0].shape == core::Shape{1, 4});
  CHECK(session.sink->held[0].arrival_ns == session.now_ns);
  CHECK(session.endpoint.budget().used_bytes() > 0);

  session.sink->complete();
  session.deliver();
  const Answer& answer = client.session.answer(call);
  CHECK(answer.field("grpc-status") == "0");
  const auto fields = response_fields(std::string_view(answer.body).substr(kPrefixBytes));
  CHECK(fields.at(1) == "copy");
  CHECK(fields.at(2) == "3");
  CHECK(fields.at(3) == "seven");
  CHECK(fields.at(6) == kRow);
  CHECK(session.handler_events().empty());
  CHECK(session.endpoint.is_quiet());
  CHECK(session.endpoint.budget().used_bytes() == 0);
}

TEST_CASE("a ModelInfer without a route, or that the codec hands on, is a handler's with its message") {
  const std::string request = infer_request("other", "", kRow);
  EndpointSession session;
  auto& client = session.connect();
  const int32_t call = session.call(client, kInfer, request);
  CHECK(session.handler_events() == Events{"started 1/1", "changed 1/1"});
  const Token token = make_token(client.id, call);
  CHECK(session.endpoint.half_closed(token));
  CHECK(text_of(session.endpoint.front_message(token)) == request);
  session.endpoint.pop_message(token);
  CHECK(session.endpoint.front_message(token) == nullptr);
  CHECK(session.endpoint.budget().used_bytes() == 0);

  session.endpoint.finish(token, {core::StatusCode::kNotFound, "no such model"}, {}, session.now_ns);
  session.exchange();
  CHECK(client.session.answer(call).field("grpc-status") == "5");
  CHECK(client.session.answer(call).field("grpc-message") == "no such model");
  CHECK(session.endpoint.is_quiet());
}

TEST_CASE("a ModelInfer without a message is a handler's to refuse") {
  EndpointSession session;
  auto& client = session.connect();
  client.session.open(kInfer, {}, true);
  session.exchange();
  CHECK(session.handler_events() == Events{"started 1/1"});
  CHECK(session.endpoint.half_closed(make_token(client.id, 1)));
}

TEST_CASE("bytes that are no ModelInferRequest, and requests that do not fit the model, are refused at once") {
  EndpointSession session;
  auto& client = session.connect();
  const int32_t garbage = session.call(client, kInfer, "\xff\xff\xff");
  CHECK(client.session.answer(garbage).field("grpc-status") == "13");
  CHECK(client.session.answer(garbage).field("grpc-message") == "Unable to parse request");
  const int32_t shorter = session.call(client, kInfer, infer_request("copy", "9", kRow.substr(1)));
  CHECK(client.session.answer(shorter).field("grpc-status") == "3");
  CHECK(client.session.answer(shorter).field("grpc-message") ==
        "[request id: 9] input byte size mismatch for input 'x' for model 'copy'. Expected 16, got 15");
  CHECK(session.sink->held.empty());
}

TEST_CASE("a full queue's refusal names the request; a failed execution's does not") {
  EndpointSession session;
  auto& client = session.connect();
  const int32_t refused = session.call(client, kInfer, infer_request("copy", "", kRow));
  const int32_t failed = session.call(client, kInfer, infer_request("copy", "", kRow));
  session.sink->complete({core::StatusCode::kUnavailable, "Exceeds maximum queue size"});
  session.sink->complete({core::StatusCode::kInternal, "the device failed"});
  session.deliver();
  CHECK(client.session.answer(refused).field("grpc-status") == "14");
  CHECK(client.session.answer(refused).field("grpc-message") ==
        "[request id: <id_unknown>] Exceeds maximum queue size");
  CHECK(client.session.answer(failed).field("grpc-message") == "the device failed");
  Failure failure;
  REQUIRE(session.endpoint.next_failure(failure));
  CHECK(failure.model == "copy");
  CHECK(failure.message == "the device failed");
  CHECK_FALSE(session.endpoint.next_failure(failure));
}

TEST_CASE("what one read brings goes to the sink in one piece") {
  EndpointSession session;
  auto& client = session.connect();
  for (int i = 0; i < 3; ++i) {
    const int32_t call = client.session.open(kInfer);
    client.session.send(call, framed(infer_request("copy", "", kRow)), true);
  }
  session.exchange();
  CHECK(session.sink->held.size() == 3);
  CHECK(session.sink->wakes == 1);
}

TEST_CASE("a call that is reset before it was submitted is not executed either") {
  EndpointSession session;
  auto& client = session.connect();
  const int32_t call = client.session.open(kInfer);
  client.session.send(call, framed(infer_request("copy", "", kRow)), true);
  const std::string request = client.session.take();
  session.endpoint.receive(client.id, std::as_bytes(std::span(request)), session.now_ns);
  REQUIRE(session.endpoint.has_gathered());
  client.session.reset(call);
  const std::string reset = client.session.take();
  session.endpoint.receive(client.id, std::as_bytes(std::span(reset)), session.now_ns);
  CHECK_FALSE(session.endpoint.has_gathered());
  CHECK(session.sink->held.empty());
  CHECK(session.sink->cancelled.size() == 1);
}

TEST_CASE("a reset call leaves the sink's queue, and its late completion reaches nobody") {
  EndpointSession session;
  auto& client = session.connect();
  const int32_t call = session.call(client, kInfer, infer_request("copy", "", kRow));
  client.session.reset(call);
  session.exchange();
  CHECK(session.sink->held.empty());
  CHECK(session.sink->cancelled == std::vector<uint64_t>{make_token(client.id, call)});
  session.deliver();
  CHECK(session.endpoint.is_quiet());
  CHECK(session.endpoint.budget().used_bytes() == 0);
}

TEST_CASE("a passed deadline answers the call and takes its request out of the queue") {
  EndpointSession session;
  auto& client = session.connect();
  const int32_t call = session.call(client, kInfer, infer_request("copy", "", kRow), {{"grpc-timeout", "50m"}});
  CHECK(session.endpoint.next_wake_ns() <= session.now_ns + 50 * kMillisecond);
  session.advance(49 * kMillisecond);
  CHECK(session.sink->held.size() == 1);
  session.advance(1 * kMillisecond);
  CHECK(session.sink->held.empty());
  CHECK(client.session.answer(call).field("grpc-status") == "4");
  session.deliver();
  CHECK(session.endpoint.is_quiet());
}

TEST_CASE("a request carries its priority, its timeout and its deadline to the sink") {
  EndpointSession session;
  auto& client = session.connect();
  using test::field;
  const auto parameter = [](std::string_view key, const std::string& value) {
    return field(4, field(1, std::string(key)) + field(2, value));
  };
  const std::string plain = infer_request("copy", "", kRow);
  session.call(client, kInfer, plain);
  session.call(client, kInfer, plain + parameter("priority", field(2, 3)) + parameter("timeout", field(2, 250)),
               {{"grpc-timeout", "50m"}});
  session.call(client, kInfer, plain + parameter("priority", field(5, UINT64_MAX)) + parameter("timeout", field(2, 0)));
  const auto& held = session.sink->held;
  REQUIRE(held.size() == 3);
  CHECK(held[0].priority == 0);
  CHECK_FALSE(held[0].timeout_us);
  CHECK(held[0].deadline_ns == 0);
  CHECK(held[1].priority == 3);
  CHECK(held[1].timeout_us == 250);
  CHECK(held[1].deadline_ns == session.now_ns + 50 * kMillisecond);
  CHECK(held[2].priority == UINT64_MAX);
  CHECK(held[2].timeout_us == 0);
}

TEST_CASE("a connection that is gone cancels its queued calls and drops the answers of those that were executing") {
  EndpointSession session;
  auto& client = session.connect();
  session.call(client, kInfer, infer_request("copy", "", kRow));
  session.call(client, kInfer, infer_request("copy", "", kRow));
  core::Request executing = std::move(session.sink->held.front());
  session.sink->held.pop_front();
  session.call(client, "/a.B/C", "hello");
  session.handler_events();

  session.close(client);
  CHECK(session.sink->held.empty());
  CHECK(session.handler_events() == Events{"ended 1/5"});
  CHECK(session.endpoint.connections() == 0);
  executing.completion->complete({}, {});
  session.deliver();
  CHECK(session.endpoint.open_calls() == 0);
  CHECK(session.endpoint.budget().used_bytes() == 0);
}

TEST_CASE("once told to, every new call is refused and clients are asked to leave; accepted calls go on") {
  EndpointSession session;
  auto& client = session.connect();
  const int32_t accepted = session.call(client, kInfer, infer_request("copy", "", kRow));
  session.endpoint.refuse_new_calls({core::StatusCode::kUnavailable, "shutting down"});
  session.exchange();
  CHECK(client.session.goaways.size() == 1);
  auto& late = session.connect();
  const int32_t refused = session.call(late, "/a.B/C", "hello");
  CHECK(late.session.answer(refused).field("grpc-status") == "14");
  CHECK(late.session.answer(refused).field("grpc-message") == "shutting down");
  CHECK_FALSE(session.endpoint.is_quiet());

  session.sink->complete();
  session.deliver();
  CHECK(client.session.answer(accepted).field("grpc-status") == "0");
  CHECK(session.endpoint.is_quiet());
  session.endpoint.shut_down(session.now_ns);
  session.exchange();
  CHECK(session.endpoint.find(client.id)->finished());
}

TEST_CASE("answers of the infer path are compressed for clients that accept it, if the level says so") {
  EndpointSession session({}, 6);
  auto& client = session.connect();
  const std::string request = infer_request("copy", "", kRow);
  const int32_t call = session.call(client, kInfer, request, {{"grpc-accept-encoding", "identity, deflate, gzip"}});
  const int32_t plain = session.call(client, kInfer, request);
  session.sink->complete();
  session.sink->complete();
  session.deliver();
  CHECK(client.session.answer(call).field("grpc-encoding") == "gzip");
  const std::string& body = client.session.answer(call).body;
  REQUIRE(body.size() > kPrefixBytes);
  CHECK(body[0] == 1);
  Buffer message;
  REQUIRE(decompress(Encoding::kGzip, std::as_bytes(std::span(body)).subspan(kPrefixBytes), 1 << 20, message) ==
          InflateResult::kOk);
  CHECK(response_fields(text_of(&message)).at(6) == kRow);
  CHECK(client.session.answer(plain).field("grpc-encoding") == "");
}

TEST_CASE("a large message that is announced and never sent keeps no small one waiting") {
  EndpointSession session;
  auto& holder = session.connect();
  const int32_t announced = holder.session.open(kInfer);
  holder.session.send(announced, std::string("\0\x7f\xff\xfe\0", 5));  // almost the whole budget
  session.exchange();
  auto& client = session.connect();
  session.call(client, kInfer, infer_request("copy", "", kRow));
  CHECK(session.sink->held.size() == 1);
}

TEST_CASE("a small compressed message has room beside a large one, and though others wait") {
  EndpointSession session;
  auto& holder = session.connect();
  for (int i = 0; i < 2; ++i) {  // the second waits
    const int32_t announced = holder.session.open(kInfer);
    holder.session.send(announced, std::string("\0\x7f\xff\xfe\0", 5));
  }
  session.exchange();
  auto& client = session.connect();
  const std::string request = infer_request("copy", "", kRow);
  const Buffer bytes = compress(Encoding::kGzip, std::as_bytes(std::span(request)), 6, 0);
  const int32_t call = client.session.open(kInfer, {{"grpc-encoding", "gzip"}});
  client.session.send(call, framed({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, 1), true);
  session.exchange();
  CHECK(session.sink->held.size() == 1);
}

TEST_CASE("replaced routes take new calls, and what was submitted is still answered") {
  EndpointSession session;
  auto& client = session.connect();
  const int32_t before = session.call(client, kInfer, infer_request("copy", "", kRow));
  session.endpoint.set_routes({});
  session.call(client, kInfer, infer_request("copy", "", kRow));
  CHECK(session.handler_events() == Events{"started 1/3", "changed 1/3"});
  session.sink->complete();
  session.deliver();
  CHECK(client.session.answer(before).field("grpc-status") == "0");
}

TEST_CASE("a handler's call hears of every message in order and answers with as many") {
  EndpointSession session;
  auto& client = session.connect();
  const int32_t call = client.session.open("/a.B/Stream");
  const Token token = make_token(client.id, call);
  for (const std::string_view word : {"one", "two", "three"}) client.session.send(call, framed(word));
  session.exchange();
  for (const std::string word : {"one", "two", "three"}) {
    CHECK(text_of(session.endpoint.front_message(token)) == word);
    session.endpoint.pop_message(token);
    session.endpoint.send(token, std::as_bytes(std::span(word)), session.now_ns);
  }
  session.exchange();
  CHECK(client.session.answer(call).body == framed("one") + framed("two") + framed("three"));
  CHECK_FALSE(client.session.answer(call).is_ended);
  session.endpoint.finish(token, {}, {{"more", "said"}}, session.now_ns);
  session.exchange();
  CHECK(client.session.answer(call).field("more") == "said");
  CHECK(session.endpoint.is_quiet());
}

}  // namespace npuserve::wire
