// Answers that keep the order of their batches, whichever instance is done first.
#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "answers.h"
#include "engine/answer_order.h"
#include "engine/model.h"
#include "manual_executor.h"

namespace core = npuserve::core;
using npuserve::engine::AnswerOrder;
using npuserve::engine::Executor;
using npuserve::engine::Model;
using npuserve::engine::ModelOptions;
using testing::Client;
using testing::ManualDevice;
using testing::ManualExecutor;
using testing::tenfold;

namespace {

// Each request is a batch; an instance on each device.
std::unique_ptr<Model> make_model(const std::vector<ManualDevice*>& devices, bool preserve_ordering) {
  ModelOptions made;
  made.scheduling.batching = {.max_batch_size = 1, .dynamic_batching = true};
  made.variable_output_axes = {{1}};
  made.preserve_ordering = preserve_ordering;
  std::vector<std::unique_ptr<Executor>> executors;
  for (ManualDevice* device : devices) {
    made.devices.push_back(static_cast<int>(made.devices.size()));
    executors.push_back(std::make_unique<ManualExecutor>(*device, tenfold({{1, 4}}), 2));
  }
  return std::make_unique<Model>(std::move(made), std::move(executors));
}

// Two requests, the first of which waits for its device while the second is done.
std::vector<uint64_t> order(bool preserve_ordering) {
  ManualDevice slow(false);
  ManualDevice quick;
  const auto model = make_model({&slow, &quick}, preserve_ordering);
  Client client(*model);
  client.send(1, 4);
  slow.await_launches(1);
  const uint64_t second = client.send(1, 4);
  // A success is counted before the model is done with it.
  while (model->statistics().success.count == 0 || model->pending() > 1) std::this_thread::yield();
  if (preserve_ordering) {
    CHECK_FALSE(client.is_answered(second));
  } else {
    (void)client.answer(second);
  }
  slow.run_all();
  CHECK(client.all_answered_once());
  return client.order();
}

// Notes that it was told.
class Note final : public core::Completion {
 public:
  Note(std::vector<int>& told, int number) : told_(told), number_(number) {}
  core::Status receive(std::span<const core::OutputView> /*outputs*/) noexcept override { return {}; }
  void complete(core::Status /*status*/, const core::Timing& /*timing*/) noexcept override { told_.push_back(number_); }

 private:
  std::vector<int>& told_;
  const int number_;
};

npuserve::engine::Answers answers(std::vector<int>& told, int number) {
  npuserve::engine::Answers made;
  made.requests.resize(1);
  made.requests.front().completion = std::make_unique<Note>(told, number);
  made.statuses.resize(1);
  return made;
}

}  // namespace

TEST_CASE("an answer waits for those of the batches before") {
  CHECK(order(true) == std::vector<uint64_t>{0, 1});
  CHECK(order(false) == std::vector<uint64_t>{1, 0});
}

TEST_CASE("what is held back goes out with the answer that it waited for") {
  std::vector<int> told;
  AnswerOrder order;
  order.send(3, answers(told, 3));
  order.send(2, answers(told, 2));
  CHECK(told.empty());
  order.send(1, answers(told, 1));
  CHECK(told == std::vector<int>{1, 2, 3});
  order.send(4, answers(told, 4));
  CHECK(told.back() == 4);
}

TEST_CASE("under many threads and instances the answers are in order, failures among them") {
  std::vector<std::unique_ptr<ManualDevice>> devices;
  std::vector<ManualDevice*> pointers;
  for (int i = 0; i < 4; ++i) pointers.push_back(devices.emplace_back(std::make_unique<ManualDevice>()).get());
  for (int nth = 5; nth < 100; nth += 11) pointers[1]->fail("launch", nth, {core::StatusCode::kInternal, "broken"});
  const auto model = make_model(pointers, true);
  Client client(*model);
  constexpr uint64_t kRequests = 2'000;
  for (uint64_t i = 0; i < kRequests; ++i) client.send(1, 4);
  CHECK(client.all_answered_once());
  std::vector<uint64_t> expected;
  for (uint64_t i = 0; i < kRequests; ++i) expected.push_back(i);
  CHECK(client.order() == expected);
}
