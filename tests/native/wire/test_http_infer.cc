// The one shape of inference that needs no handler: read, and everything that is left to the handlers.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http_pair.h"
#include "wire/http_infer_request.h"
#include "wire/http_infer_response.h"

namespace npuserve::wire {
namespace {

const std::string kInput = R"({"name":"x","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}})";
const std::string kJson = R"({"inputs":[)" + kInput + R"(],"parameters":{"binary_data_output":true}})";
const std::string kRow = "0123456789abcdef";

// A request as the connection has read it.
struct Read {
  HttpPair pair;
  InferRequest request;
  bool is_infer = false;

  Read(std::string_view path, std::string_view fields, std::string_view body, std::string_view method = "POST") {
    pair.receive(std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                 std::to_string(body.size()) + "\r\n" + std::string(fields) + "\r\n" + std::string(body));
    REQUIRE(pair.connection.has_request());
    is_infer = read_infer(pair.connection.head(), pair.connection.body().bytes(), request);
  }
};

std::string length_of(std::string_view json) {
  return "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n";
}

bool reads(const std::string& json, const std::string& blobs = kRow) {
  return Read("/v2/models/m/infer", length_of(json), json + blobs).is_infer;
}

std::string replaced(std::string text, std::string_view part, std::string_view by) {
  const size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.replace(at, part.size(), by);
}

}  // namespace

TEST_CASE("a request of binary inputs and outputs is read where it lies") {
  const std::string json =
      " { \"id\" : \"se\xc3\xa4n\" , \"inputs\" : [" + kInput +
      R"( , {"parameters":{"binary_data_size":0},"datatype":"INT64","name":"y","shape":[0, 2 ,9223]}], "outputs":[)"
      R"({"name":"o","parameters":{"binary_data":true}},{"parameters":{"binary_data":true},"name":"p"}]} )"
      "\r\n\t";
  const Read read("/v2/models/my.model/versions/12/infer?q=1", length_of(json), json + kRow);
  REQUIRE(read.is_infer);
  CHECK(read.request.model_name == "my.model");
  CHECK(read.request.model_version == "12");
  CHECK(read.request.id == "se\xc3\xa4n");
  REQUIRE(read.request.inputs.size() == 2);
  CHECK(read.request.inputs[0].name == "x");
  CHECK(read.request.inputs[0].datatype == "FP32");
  CHECK(read.request.inputs[0].shape == std::vector<int64_t>{1, 4});
  CHECK(read.request.inputs[1].name == "y");
  CHECK(read.request.inputs[1].shape == std::vector<int64_t>{0, 2, 9223});
  REQUIRE(read.request.raw_input_contents.size() == 2);
  CHECK(read.request.raw_input_contents[0].size() == 16);
  CHECK(read.request.raw_input_contents[1].empty());
  REQUIRE(read.request.outputs.size() == 2);
  CHECK(read.request.outputs[1].name == "p");
}

TEST_CASE("what the requests before held is forgotten") {
  InferRequest request;
  HttpPair pair;
  for (const std::string id : {"\"id\":\"one\",", ""}) {
    const std::string json = "{" + id + kJson.substr(1);
    pair.receive("POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                 std::to_string(json.size() + kRow.size()) + "\r\n" + length_of(json) + "\r\n" + json + kRow);
    REQUIRE(read_infer(pair.connection.head(), pair.connection.body().bytes(), request));
    CHECK(request.id == (id.empty() ? "" : "one"));
    CHECK(request.inputs.size() == 1);
    CHECK(request.inputs[0].shape.size() == 2);
    CHECK(request.raw_input_contents.size() == 1);
    pair.respond("");
  }
}

TEST_CASE("only a POST to an infer path without compression is read") {
  const std::string body = kJson + kRow;
  const std::string length = length_of(kJson);
  CHECK(Read("/v2/models/m/infer", length, body).is_infer);
  CHECK(Read("/v2/models/m/infer", length + "Accept-Encoding: identity\r\n", body).is_infer);
  CHECK(!Read("/v2/models/m/infer", length, body, "PUT").is_infer);
  for (const std::string path :
       {"/v2/models/m/infer/", "/v2/models/m", "/v2/models/m/generate", "/v2/models/m/versions/infer",
        "/v2/models/m/versions//infer", "/v2/models/m/versions/a/infer", "/v2/models/m/version/1/infer",
        "/v2/models/m/n/infer", "/v2/models/m%20n/infer", "/v1/models/m/infer", "/v2/models/infer", "/infer"}) {
    CAPTURE(path);
    CHECK(!Read(path, length, body).is_infer);
  }
  for (const std::string field : {"Content-Encoding: gzip\r\n", "Accept-Encoding: gzip, deflate\r\n"}) {
    CAPTURE(field);
    CHECK(!Read("/v2/models/m/infer", length + field, body).is_infer);
  }
  for (const std::string value : {"", "0", "-1", "abc", "9999", "99999999999999999999", "1 1"}) {
    CAPTURE(value);
    CHECK(!Read("/v2/models/m/infer", "Inference-Header-Content-Length: " + value + "\r\n", body).is_infer);
  }
  CHECK(!Read("/v2/models/m/infer", "", body).is_infer);
  CHECK(!Read("/v2/models/m/infer", length + length, body).is_infer);
}

TEST_CASE("JSON of any other shape is left to the handlers") {
  REQUIRE(reads(kJson));
  const std::vector<std::pair<std::string, std::string>> changes{
      {R"("binary_data_output":true)", R"("binary_data_output":false)"},
      {R"("binary_data_output":true)", R"("binary_data_output":1)"},
      {R"("binary_data_output":true)", R"("binary_data_output":true,"priority":1)"},
      {R"("binary_data_output":true)", R"("binary_data_output":true,"binary_data_output":true)"},
      {R"({"binary_data_output":true})", "{}"},
      {R"("parameters":{"binary_data_output":true})", R"("unknown":1)"},
      {R"("binary_data_size":16)", R"("binary_data_size":15)"},
      {R"("binary_data_size":16)", R"("binary_data_size":17)"},
      {R"("binary_data_size":16)", R"("binary_data_size":-16)"},
      {R"("binary_data_size":16)", R"("binary_data_size":16.0)"},
      {R"("binary_data_size":16)", R"("binary_data_size":16e0)"},
      {R"("binary_data_size":16)", R"("binary_data_size":016)"},
      {R"("binary_data_size":16)", R"("binary_data_size":"16")"},
      {R"("binary_data_size":16)", R"("binary_data_size":9999999999999999999)"},
      {R"("binary_data_size":16)", R"("shared_memory_region":"r")"},
      {R"("binary_data_size":16)", R"("binary_data_size":16,"shared_memory_region":"r")"},
      {R"("parameters":{"binary_data_size":16})", R"("data":[1,2,3,4])"},
      {R"("parameters":{"binary_data_size":16})", R"("parameters":{"binary_data_size":16},"data":[])"},
      {R"("parameters":{"binary_data_size":16})", R"("parameters":{})"},
      {R"("name":"x")", R"("name":"\u0078")"},
      {R"("name":"x")", "\"name\":\"\xff\""},
      {R"("name":"x")", "\"name\":\"\n\""},
      {R"("name":"x")", R"("name":"x","name":"x")"},
      {R"("name":"x",)", ""},
      {R"("name":"x")", R"("name":null)"},
      {R"("shape":[1,4])", R"("shape":[1,-4])"},
      {R"("shape":[1,4])", R"("shape":[1,[4]])"},
      {R"("shape":[1,4])", R"("shape":[1,4,])"},
      {R"("shape":[1,4])", R"("shape":"1")"},
      {R"({"inputs")", R"({"id":7,"inputs")"},
      {R"({"inputs")", R"({"outputs":[],"inputs")"},
      {R"({"inputs")", R"({"outputs":[{"name":"y"}],"inputs")"},
      {R"({"inputs")", R"({"outputs":[{"name":"y","parameters":{"binary_data":false}}],"inputs")"},
      {R"({"inputs")", R"({"outputs":[{"name":"y","parameters":{"classification":2}}],"inputs")"},
      {kInput, ""},
      {"{\"inputs\"", "[\"inputs\""},
      {"}}", "}}}"},
      {"}}", "}"},
  };
  for (const auto& [part, by] : changes) {
    const std::string json = replaced(kJson, part, by);
    CAPTURE(json);
    CHECK(!reads(json));
  }
  for (size_t size = 0; size < kJson.size(); ++size) CHECK(!reads(kJson.substr(0, size)));
  CHECK(!reads(kJson, kRow + "x"));
  CHECK(!reads(kJson, ""));
}

TEST_CASE("more parts than a request may have here are left to the handlers") {
  std::string shape = "[1";
  for (size_t i = 0; i < kMostParts; ++i) shape += ",1";
  CHECK(!reads(replaced(kJson, "[1,4]", shape + "]")));
  std::string inputs = replaced(kInput, "16", "0");
  const std::string input = inputs;
  for (size_t i = 1; i < kMostParts; ++i) inputs += "," + input;
  CHECK(reads(replaced(kJson, kInput, inputs), ""));
  CHECK(!reads(replaced(kJson, kInput, inputs + "," + input), ""));
}

TEST_CASE("a response is JSON in Triton's order of keys, then the outputs' bytes") {
  const auto tensor = [](std::string name, core::Shape dims, core::Shape model_dims) {
    return DeclaredTensor{
        .name = std::move(name), .dtype = core::Dtype::kInt32, .dims = dims, .model_dims = model_dims};
  };
  const ModelInterface model{
      .name = "m\"1",
      .version = "3",
      .max_batch_size = 0,
      .inputs = {},
      .input_positions = {},
      .outputs = {tensor("a", {2}, {2}), tensor("", {1}, {1}), tensor("c", {}, {1}), tensor("d", {-1, 1}, {-1})}};
  const std::string bytes = "abcdefgh";
  const auto view = [&bytes](const core::Shape& shape) {
    return core::OutputView(reinterpret_cast<const std::byte*>(bytes.data()), 4, shape, shape);
  };
  const core::Shape two{2};
  const core::Shape one{1};
  const std::vector<core::OutputView> outputs{view(two), view(one), view(one), view(two)};

  const HttpInferBody some = encode_http_response(model, "", {true, false, false, false}, outputs);
  const std::string a = R"({"name":"a","datatype":"INT32","shape":[2],"parameters":{"binary_data_size":8}})";
  const std::string json = R"({"model_name":"m\"1","model_version":"3","outputs":[)" + a + "]}";
  CHECK(text_of(some.bytes) == json + bytes);
  CHECK(some.json_bytes == json.size());

  const HttpInferBody all = encode_http_response(model, "i", {}, outputs);
  CHECK(text_of(all.bytes) ==
        R"({"id":"i","model_name":"m\"1","model_version":"3","outputs":[)" + a +
            R"(,{"name":"c","datatype":"INT32","shape":[],"parameters":{"binary_data_size":4}})"
            R"(,{"name":"d","datatype":"INT32","shape":[2,1],"parameters":{"binary_data_size":8}}]})" +
            bytes + "abcd" + bytes);
}

}  // namespace npuserve::wire
