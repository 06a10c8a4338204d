// Cancelling what is queued: at once, whatever the device does, and under load.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "answers.h"
#include "core/clock.h"
#include "engine/identity_executor.h"
#include "engine/model.h"
#include "manual_executor.h"

namespace core = npuserve::core;
using npuserve::engine::Counters;
using npuserve::engine::Executor;
using npuserve::engine::identity_signature;
using npuserve::engine::IdentityExecutor;
using npuserve::engine::Model;
using npuserve::engine::ModelOptions;
using testing::Client;
using testing::manual_executors;
using testing::ManualDevice;
using testing::tenfold;

namespace {

constexpr int64_t kMaxBatchSize = 8;
constexpr int64_t kDelayNs = 200'000;

std::unique_ptr<Model> make_model(size_t instances, int64_t execute_delay_ns) {
  const core::Signature signature = identity_signature({{"a", "x", core::Dtype::kInt64, {1}}}, kMaxBatchSize);
  std::vector<std::unique_ptr<Executor>> executors;
  for (size_t i = 0; i < instances; ++i) {
    executors.push_back(std::make_unique<IdentityExecutor>(signature, 2, execute_delay_ns));
  }
  ModelOptions options;
  options.scheduling.batching = {.max_batch_size = kMaxBatchSize, .dynamic_batching = true};
  options.variable_output_axes.resize(1);
  return std::make_unique<Model>(std::move(options), std::move(executors));
}

std::unique_ptr<Model> make_manual_model(ManualDevice& device) {
  ModelOptions options;
  options.scheduling.batching = {.max_batch_size = kMaxBatchSize, .dynamic_batching = true};
  options.variable_output_axes = {{1}};
  return std::make_unique<Model>(std::move(options), manual_executors(device, tenfold({{kMaxBatchSize, 1}})));
}

// What became of a request; written by whoever completes it, read when all threads have ended.
struct Fate {
  int64_t value = 0;
  int64_t answer = -1;
  core::StatusCode code = core::StatusCode::kUnknown;
  std::atomic<int> completions = 0;
};

class Reply final : public core::Completion {
 public:
  explicit Reply(Fate& fate) : fate_(fate) {}

  core::Status receive(std::span<const core::OutputView> outputs) noexcept override {
    outputs[0].copy_to(reinterpret_cast<std::byte*>(&fate_.answer));
    return {};
  }

  void complete(core::Status status, const core::Timing& /*timing*/) noexcept override {
    fate_.code = status.code();
    ++fate_.completions;
    fate_.completions.notify_all();
  }

 private:
  Fate& fate_;
};

void submit(Model& model, uint64_t token, Fate& fate) {
  fate.value = static_cast<int64_t>(token);
  core::Request request;
  request.token = token;
  request.inputs = {{reinterpret_cast<const std::byte*>(&fate.value), sizeof(fate.value), {1, 1}}};
  request.arrival_ns = core::steady_now_ns();
  request.completion = std::make_unique<Reply>(fate);
  model.submit(std::move(request));
}

void expect_one_answer_each(Model& model, const std::vector<Fate>& fates) {
  uint64_t succeeded = 0;
  uint64_t cancelled = 0;
  size_t wrong = 0;
  for (const Fate& fate : fates) {
    const bool ok = fate.code == core::StatusCode::kOk;
    succeeded += ok ? 1 : 0;
    cancelled += fate.code == core::StatusCode::kCancelled ? 1 : 0;
    // One that was cancelled was never executed.
    if (fate.completions != 1 || fate.answer != (ok ? fate.value : -1)) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(succeeded + cancelled == fates.size());
  const Counters counters = model.statistics();
  CHECK(counters.success.count == succeeded);
  CHECK(counters.inference_count == succeeded);
  CHECK(counters.fail.count == cancelled);
  CHECK(model.pending() == 0);
}

// Submits its share, and cancels every third of its requests some time after.
void submit_and_cancel(Model& model, std::vector<Fate>& fates, size_t first, size_t step) {
  constexpr size_t kBehind = 40;
  std::vector<size_t> mine;
  for (size_t token = first; token < fates.size(); token += step) {
    submit(model, token, fates[token]);
    mine.push_back(token);
    if (mine.size() > kBehind && mine.size() % 3 == 0) model.cancel(mine[mine.size() - kBehind]);
  }
}

}  // namespace

TEST_CASE("a queued request is cancelled while the device is busy and every slot is taken") {
  ManualDevice device(false);
  const auto model = make_manual_model(device);
  Client client(*model);
  for (size_t i = 0; i < 2 * kMaxBatchSize; ++i) client.send(kMaxBatchSize, 1);
  device.await_launches(2);
  const uint64_t last = 2 * kMaxBatchSize - 1;
  CHECK(model->cancel(last));
  CHECK(client.is_answered(last));
  CHECK(client.answer(last).status.code() == core::StatusCode::kCancelled);
  CHECK_FALSE(model->cancel(last));
  CHECK_FALSE(client.is_answered(0));
  CHECK_FALSE(model->cancel(0));
  device.run_all();
  CHECK(client.all_answered_once());
  CHECK(device.launched().size() == last);
  CHECK(client.answer(last).deliveries == 0);
}

TEST_CASE("submitting, completing and cancelling from many threads: each request is answered once") {
  constexpr size_t kThreads = 4;
  constexpr size_t kRequests = 40'000;
  for (const size_t instances : {1, 2}) {
    for (const int64_t delay_ns : {int64_t{0}, kDelayNs}) {
      const auto model = make_model(instances, delay_ns);
      std::vector<Fate> fates(kRequests);
      std::vector<std::thread> threads;
      for (size_t i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] { submit_and_cancel(*model, fates, i, kThreads); });
      }
      for (std::thread& thread : threads) thread.join();
      for (Fate& fate : fates) fate.completions.wait(0);
      expect_one_answer_each(*model, fates);
    }
  }
}

TEST_CASE("a long queue is cancelled in any order") {
  constexpr uint64_t kRequests = 4'000;
  for (const bool newest_first : {false, true}) {
    ManualDevice device(false);
    const auto model = make_manual_model(device);
    Client client(*model);
    for (uint64_t i = 0; i < kRequests; ++i) client.send(kMaxBatchSize, 1);
    device.await_launches(2);
    uint64_t cancelled = 0;
    for (uint64_t i = 0; i < kRequests; ++i) cancelled += model->cancel(newest_first ? kRequests - 1 - i : i) ? 1 : 0;
    CHECK(cancelled == kRequests - 2);
    device.run_all();
    CHECK(client.all_answered_once());
    CHECK(client.count(core::StatusCode::kCancelled) == cancelled);
    CHECK(device.launched().size() == 2);
  }
}
