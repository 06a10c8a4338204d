#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "wire/infer_request.h"
#include "wire/protobuf_fields.h"

namespace wire = npuserve::wire;
using wire::InferRequest;
using wire::ParameterKind;
using wire::test::bytes_of;
using wire::test::field;
using wire::test::packed;
using wire::test::tag;
using wire::test::text_of;

namespace {

bool is_request(const std::string& message) {
  InferRequest request;
  return wire::parse(bytes_of(message), request);
}

std::string group(int depth) {
  std::string opened;
  std::string closed;
  for (int i = 0; i < depth; ++i) {
    opened += tag(99, 3);
    closed += tag(99, 4);
  }
  return opened + closed;
}

}  // namespace

TEST_CASE("a request is read in views of its message") {
  const std::string tensor = field(1, "x") + field(2, "FP32") + field(3, packed({2, 300})) + field(3, uint64_t{7});
  const std::string message =
      field(1, "m") + field(2, "1") + field(3, "id") + field(5, tensor) + field(6, field(1, "y")) + field(7, "raw");
  InferRequest request;
  REQUIRE(wire::parse(bytes_of(message), request));
  CHECK(request.model_name == "m");
  CHECK(request.model_version == "1");
  CHECK(request.id == "id");
  REQUIRE(request.inputs.size() == 1);
  CHECK(request.inputs[0].name == "x");
  CHECK(request.inputs[0].datatype == "FP32");
  CHECK(request.inputs[0].shape == std::vector<int64_t>{2, 300, 7});
  CHECK_FALSE(request.inputs[0].has_contents);
  REQUIRE(request.outputs.size() == 1);
  CHECK(request.outputs[0].name == "y");
  REQUIRE(request.raw_input_contents.size() == 1);
  CHECK(text_of(request.raw_input_contents[0]) == "raw");
  CHECK(request.raw_input_contents[0].data() == bytes_of(message).data() + message.size() - 3);
}

TEST_CASE("a request that is read anew keeps nothing of the last one") {
  InferRequest request;
  const std::string full = field(1, "m") + field(4, field(1, "k")) +
                           field(5, field(1, "x") + field(3, uint64_t{1}) + field(4, "") + field(5, field(8, "a"))) +
                           field(6, "") + field(7, "raw");
  REQUIRE(wire::parse(bytes_of(full), request));
  REQUIRE(wire::parse(bytes_of(field(5, "")), request));
  CHECK(request.model_name.empty());
  CHECK(request.parameters.empty());
  CHECK(request.outputs.empty());
  CHECK(request.raw_input_contents.empty());
  REQUIRE(request.inputs.size() == 1);
  CHECK(request.inputs[0].name.empty());
  CHECK(request.inputs[0].shape.empty());
  CHECK(request.inputs[0].parameters.empty());
  CHECK_FALSE(request.inputs[0].has_contents);
  CHECK(request.inputs[0].contents.pieces.empty());
  CHECK(request.inputs[0].contents.counts[8] == 0);
  CHECK(request.inputs[0].contents.element_bytes == 0);
}

TEST_CASE("typed contents are counted over all their pieces") {
  const std::string first = field(6, std::string(8, '\0')) + field(8, "ab");
  const std::string second =
      tag(6, 5) + std::string(4, '\0') + field(8, "") + field(2, packed({1, 2})) + field(2, uint64_t{3});
  InferRequest request;
  REQUIRE(wire::parse(bytes_of(field(5, field(5, first) + field(5, second) + field(5, ""))), request));
  const wire::TypedContents& contents = request.inputs[0].contents;
  CHECK(request.inputs[0].has_contents);
  CHECK(contents.pieces.size() == 2);
  CHECK(contents.counts[6] == 3);
  CHECK(contents.counts[8] == 2);
  CHECK(contents.element_bytes == 2);
  CHECK(contents.counts[2] == 3);
}

TEST_CASE("of a map's equal keys and of a oneof's members the last counts") {
  const auto entry = [](const std::string& value) { return field(4, field(1, "k") + field(2, value)); };
  const std::string later = entry(field(1, uint64_t{1})) + entry(field(3, "s") + field(2, uint64_t{5}));
  InferRequest request;
  REQUIRE(wire::parse(bytes_of(later), request));
  REQUIRE(request.parameters.size() == 1);
  CHECK(request.parameters[0].key == "k");
  CHECK(request.parameters[0].kind == ParameterKind::kInt64);
  CHECK(request.parameters[0].int64_value == 5);
  const std::string emptied = entry(field(2, uint64_t{1})) + entry("");
  REQUIRE(wire::parse(bytes_of(emptied), request));
  CHECK(request.parameters[0].kind == ParameterKind::kNone);
}

TEST_CASE("an entry with fields besides key and value is none") {
  InferRequest request;
  REQUIRE(wire::parse(bytes_of(field(4, field(1, "k") + field(3, uint64_t{1}))), request));
  CHECK(request.parameters.empty());
  CHECK_FALSE(is_request(field(4, field(1, "\xff") + field(3, uint64_t{1}))));
}

TEST_CASE("unknown fields and known numbers of another type are skipped") {
  CHECK(is_request(field(99, "a") + field(98, uint64_t{1}) + tag(97, 1) + "12345678" + tag(96, 5) + "1234"));
  const std::string message = field(1, "m") + field(1, uint64_t{1}) + tag(5, 3) + field(1, "x") + tag(5, 4);
  InferRequest request;
  REQUIRE(wire::parse(bytes_of(message), request));
  CHECK(request.model_name == "m");
  CHECK(request.inputs.empty());
}

TEST_CASE("groups nest a hundred deep, messages included") {
  CHECK(is_request(group(100)));
  CHECK_FALSE(is_request(group(101)));
  CHECK(is_request(field(5, group(99))));
  CHECK_FALSE(is_request(field(5, group(100))));
  CHECK(is_request(field(5, field(5, group(98)))));
  CHECK_FALSE(is_request(field(5, field(5, group(99)))));
}

TEST_CASE("what is malformed is refused") {
  const std::string ten(9, '\x80');
  CHECK(is_request(tag(9, 0) + ten + '\x7f'));
  CHECK_FALSE(is_request(tag(9, 0) + ten + '\x80' + '\0'));
  CHECK_FALSE(
      is_request("\x0a\x05"
                 "ab"));
  CHECK_FALSE(is_request("\x80"));
  CHECK_FALSE(is_request(tag(9, 6)));
  CHECK_FALSE(is_request(tag(9, 4)));
  CHECK_FALSE(is_request(tag(9, 3)));
  CHECK_FALSE(is_request(tag(9, 3) + tag(8, 4)));
  CHECK_FALSE(is_request(field(0, "a")));
  CHECK_FALSE(is_request(field(1, "\xff")));
  CHECK_FALSE(is_request(field(3, "12345678\xed\xa0\x80")));
  CHECK_FALSE(is_request(field(5, field(5, field(6, "abc")))));
  CHECK_FALSE(is_request(field(5, field(5, field(1, "\x80")))));
}

TEST_CASE("every part of a request that is cut off is refused or is a request") {
  const std::string tensor = field(1, "x") + field(3, packed({2, 300})) + field(5, field(2, packed({1, 200})));
  const std::string message = field(1, "m") + field(4, field(1, "k") + field(2, field(3, "é"))) + field(5, tensor);
  int requests = 0;
  for (size_t size = 0; size <= message.size(); ++size) requests += is_request(std::string(message, 0, size)) ? 1 : 0;
  CHECK(requests == 4);  // nothing, and each of the three fields whole
}

TEST_CASE("no more parts are kept than are useful") {
  std::string message;
  for (size_t i = 0; i < wire::kMostParts; ++i) message += field(7, "");
  InferRequest request;
  REQUIRE(wire::parse(bytes_of(message), request));
  CHECK_FALSE(request.has_more);
  REQUIRE(wire::parse(bytes_of(message + field(7, "")), request));
  CHECK(request.has_more);
  CHECK(request.raw_input_contents.size() == wire::kMostParts);
}
