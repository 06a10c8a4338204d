// The loop's thread and the engine's at once over HTTP, for ThreadSanitizer: submit, complete, disconnect under load.
#include <doctest/doctest.h>
#include <poll.h>

#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "endpoint_session.h"
#include "engine/identity_executor.h"
#include "engine/model.h"
#include "wire/http_endpoint.h"

namespace npuserve::wire {
namespace {

std::shared_ptr<engine::Model> copy_model() {
  const core::Signature signature = engine::identity_signature({{"x", "y", core::Dtype::kFp32, {4}}}, 8);
  std::vector<std::unique_ptr<engine::Executor>> executors;
  executors.push_back(std::make_unique<engine::IdentityExecutor>(signature, 2, 0));
  executors.push_back(std::make_unique<engine::IdentityExecutor>(signature, 2, 100'000));
  engine::ModelOptions options;
  options.scheduling.batching.max_batch_size = 8;
  options.scheduling.batching.dynamic_batching = true;
  options.variable_output_axes = {{}};
  return std::make_shared<engine::Model>(options, std::move(executors));
}

std::string infer(std::string_view row) {
  const std::string json = R"({"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","parameters":)"
                           R"({"binary_data_size":16}}],"parameters":{"binary_data_output":true}})";
  return "POST /v2/models/copy/infer HTTP/1.1\r\nHost: a\r\nContent-Length: " +
         std::to_string(json.size() + row.size()) +
         "\r\nInference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n\r\n" + json + std::string(row);
}

}  // namespace

TEST_CASE("every HTTP request is answered with its own row, or was given up by its client") {
  constexpr int kRequests = 20'000;
  const std::shared_ptr<engine::Model> model = copy_model();
  HttpEndpoint endpoint(HttpLimits{});
  endpoint.set_routes({{"copy", "", std::make_shared<InferTarget>(InferTarget{copy_interface(), model})}});
  std::mt19937 random(1);                 // NOLINT(bugprone-random-generator-seed): the same in every run
  std::map<uint64_t, std::string> asked;  // by connection, the row that its answer ends with
  std::vector<uint64_t> idle;
  int right = 0;
  int given_up = 0;
  const auto deliver = [&] {
    pollfd entry{.fd = endpoint.file_descriptor(), .events = POLLIN, .revents = 0};
    REQUIRE(poll(&entry, 1, 30'000) == 1);
    endpoint.deliver(0);
    std::vector<uint64_t> touched;
    endpoint.take_touched(touched);
    for (const uint64_t connection : touched) {
      std::string answer;
      endpoint.take_output(connection, answer, SIZE_MAX, 0);
      if (answer.empty()) continue;
      right += answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(asked.at(connection));
      asked.erase(connection);
      idle.push_back(connection);
    }
  };

  for (int i = 0; i < kRequests; ++i) {
    if (asked.size() == 32) deliver();
    if (idle.empty()) idle.push_back(endpoint.open(0));
    const uint64_t connection = idle.back();
    idle.pop_back();
    const std::string row = "row " + std::string(12 - std::to_string(i).size(), ' ') + std::to_string(i);
    asked[connection] = row;
    const std::string bytes = infer(row);
    endpoint.receive(connection, std::as_bytes(std::span(bytes)), 0);
    if (random() % 4 == 0) endpoint.submit_gathered();
    if (random() % 16 == 0) {
      endpoint.close(connection, 0);
      asked.erase(connection);
      ++given_up;
    }
    if (asked.size() == 32) endpoint.submit_gathered();
  }
  endpoint.submit_gathered();
  while (endpoint.open_requests() > 0) deliver();
  model->close();
  endpoint.deliver(0);

  CHECK(right + given_up == kRequests);
  CHECK(asked.empty());
  CHECK(endpoint.is_quiet());
  CHECK(endpoint.budget().used_bytes() == 0);
  const engine::Counters counters = model->statistics();
  CHECK(counters.success.count + counters.fail.count == kRequests);
}

}  // namespace npuserve::wire
