// The loop's thread and the engine's at once, for ThreadSanitizer: submit, complete, cancel, disconnect under load.
#include <doctest/doctest.h>
#include <poll.h>

#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "endpoint_session.h"
#include "engine/identity_executor.h"
#include "engine/model.h"
#include "wire/framing.h"

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

void wait_for_completions(const Endpoint& endpoint) {
  pollfd entry{.fd = endpoint.file_descriptor(), .events = POLLIN, .revents = 0};
  REQUIRE(poll(&entry, 1, 30'000) == 1);
}

}  // namespace

TEST_CASE("every call is answered or was given up by its client, whatever the engine's threads do meanwhile") {
  constexpr int kCalls = 20'000;
  const std::shared_ptr<engine::Model> model = copy_model();
  EndpointSession session;
  session.endpoint.set_routes({{"copy", "", std::make_shared<InferTarget>(InferTarget{copy_interface(), model})}});
  std::mt19937 random(1);
  std::vector<EndpointSession::Client*> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(&session.connect());
  std::vector<std::pair<EndpointSession::Client*, int32_t>> waiting;
  int given_up = 0;
  int right = 0;
  const auto settle = [&] {
    session.deliver();
    std::erase_if(waiting, [&](const auto& entry) {
      const Answer& answer = entry.first->session.answer(entry.second);
      if (!answer.is_ended) return false;
      const auto fields = response_fields(std::string_view(answer.body).substr(kPrefixBytes));
      right += answer.field("grpc-status") == "0" && fields.at(3) == fields.at(6);
      return true;
    });
  };

  for (int i = 0; i < kCalls; ++i) {
    EndpointSession::Client*& client = clients[random() % clients.size()];
    const std::string row = "row " + std::string(12 - std::to_string(i).size(), ' ') + std::to_string(i);
    const int32_t call = session.call(*client, kInfer, infer_request("copy", row, row));
    waiting.emplace_back(client, call);
    if (random() % 8 == 0) {
      client->session.reset(call);
      session.exchange();
      waiting.pop_back();
      ++given_up;
    } else if (random() % 2000 == 0) {
      session.close(*client);
      given_up += static_cast<int>(std::erase_if(waiting, [&](const auto& entry) { return entry.first == client; }));
      client = &session.connect();
    } else if (random() % 4 == 0) {
      settle();
    }
  }
  while (session.endpoint.open_calls() > 0) {
    wait_for_completions(session.endpoint);
    settle();
  }
  settle();
  model->close();
  session.deliver();

  CHECK(right + given_up == kCalls);
  CHECK(waiting.empty());
  CHECK(session.endpoint.budget().used_bytes() == 0);
  const engine::Counters counters = model->statistics();
  CHECK(counters.success.count >= static_cast<uint64_t>(right));
  CHECK(counters.success.count + counters.fail.count == kCalls);
}

TEST_CASE("an endpoint that is destroyed waits for what the engine still executes") {
  const std::shared_ptr<engine::Model> model = copy_model();
  {
    EndpointSession session;
    session.endpoint.set_routes({{"copy", "", std::make_shared<InferTarget>(InferTarget{copy_interface(), model})}});
    auto& client = session.connect();
    for (int i = 0; i < 50; ++i) session.call(client, kInfer, infer_request("copy", "", "0123456789abcdef"));
  }
  const engine::Counters counters = model->statistics();
  CHECK(counters.success.count + counters.fail.count == 50);
}

}  // namespace npuserve::wire
