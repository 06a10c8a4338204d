#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "connection_pair.h"

namespace npuserve::wire {
namespace {

using Events = std::vector<std::string>;

// The answer to a request of these fields whose one message is there.
Answer ask(ConnectionPair& pair, const std::vector<Field>& fields) {
  const int32_t call = pair.client.open_with(fields, false);
  pair.client.send(call, framed("m"), true);
  pair.exchange();
  return pair.client.answer(call);
}

Answer ask_with(ConnectionPair& pair, const Field& more) {
  std::vector<Field> fields = request_fields("/a.B/C");
  fields.push_back(more);
  return ask(pair, fields);
}

std::vector<Field> with(std::string_view name, std::string_view value) {
  std::vector<Field> fields = request_fields("/a.B/C");
  for (auto& [key, old] : fields) {
    if (key == name) old = value;
  }
  return fields;
}

}  // namespace

TEST_CASE("metadata is what the client made of it, in its order, with binary values decoded") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C", {{"user-agent", "test/1"},
                                                   {"b", "1"},
                                                   {"grpc-timeout", "5S"},
                                                   {"a-bin", "AAEC"},
                                                   {"grpc-accept-encoding", "identity,gzip , deflate"},
                                                   {"grpc-encoding", "gzip"},
                                                   {"host", "h"},
                                                   {"grpc-trace-bin", "AAA"},
                                                   {"grpc-own", "x"},
                                                   {"b", "2"},
                                                   {"empty", ""}});
  pair.exchange();
  const CallHead* head = pair.server->head(call);
  REQUIRE(head != nullptr);
  CHECK(head->path == "/a.B/C");
  CHECK(head->metadata == Metadata{{"user-agent", "test/1"},
                                   {"b", "1"},
                                   {"a-bin", std::string("\0\1\2", 3)},
                                   {"host", "h"},
                                   {"grpc-own", "x"},
                                   {"b", "2"},
                                   {"empty", ""}});
  CHECK(head->deadline_ns == pair.now_ns + 5 * kSecond);
  CHECK(head->request_encoding == Encoding::kGzip);
  CHECK(head->accepts_gzip);
  CHECK(head->accepts_deflate);
}

TEST_CASE("a call without a timeout or encodings has neither") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C");
  pair.exchange();
  REQUIRE(pair.server->head(call) != nullptr);
  CHECK(pair.server->head(call)->deadline_ns == kNever);
  CHECK(pair.server->head(call)->request_encoding == Encoding::kIdentity);
  CHECK_FALSE(pair.server->head(call)->accepts_gzip);
  CHECK_FALSE(pair.server->head(call)->accepts_deflate);
}

TEST_CASE("what is no gRPC request is answered in HTTP's words and never heard of") {
  ConnectionPair pair;
  CHECK(ask(pair, with(":method", "PUT")).field(":status") == "405");
  CHECK(ask(pair, with("content-type", "application/json")).field(":status") == "415");
  CHECK(ask(pair, with("content-type", "application/grpc+proto")).field(":status") == "");
  CHECK(pair.take_events().front() == "5 started /a.B/C");
}

TEST_CASE("fields that cannot be read are named to the client") {
  ConnectionPair pair;
  const auto refused = [&](const Answer& answer, std::string_view code, std::string_view message) {
    CHECK(answer.field(":status") == "200");
    CHECK(answer.field("grpc-status") == code);
    CHECK(answer.field("grpc-message") == message);
    CHECK(answer.is_closed);
  };
  refused(ask_with(pair, {"grpc-timeout", "5X"}), "13", "Error parsing 'grpc-timeout' metadata");
  refused(ask_with(pair, {"x-bin", "!!!"}), "13", "Error parsing 'x-bin' metadata: illegal base64 encoding");
  const Answer unknown = ask_with(pair, {"grpc-encoding", "snappy"});
  refused(unknown, "12", "Compression algorithm 'snappy' is not supported.");
  CHECK(unknown.field("grpc-accept-encoding") == "identity, deflate, gzip");
  refused(ask_with(pair, {"grpc-timeout", "0S"}), "4", "Deadline Exceeded");
  CHECK(pair.take_events().empty());
  CHECK(pair.server->open_calls() == 0);
}

TEST_CASE("a header list beyond the limit is RESOURCE_EXHAUSTED, and the connection goes on") {
  Limits limits;
  limits.max_header_list_bytes = 1000;
  ConnectionPair pair(limits);
  std::vector<Field> fields = request_fields("/a.B/C");
  size_t bytes = 0;
  for (const auto& [name, value] : fields) bytes += name.size() + value.size() + 32;
  fields.emplace_back("x", std::string(1000 - bytes - 33, 'x'));
  CHECK(ask(pair, fields).field("grpc-status") == "");
  fields.back().second += 'x';
  const Answer answer = ask(pair, fields);
  CHECK(answer.field("grpc-status") == "8");
  CHECK(answer.field("grpc-message") == "received metadata size exceeds hard limit (1001 vs. 1000)");
  CHECK(ask(pair, request_fields("/a.B/C")).field("grpc-status") == "");
  CHECK(pair.take_events().front() == "1 started /a.B/C");
  CHECK(pair.client.server_settings[NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE] == 1000);
}

}  // namespace npuserve::wire
