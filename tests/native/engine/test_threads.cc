// Many threads at once: the sanitizers' business as much as the assertions'.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "answers.h"
#include "engine/model.h"
#include "manual_executor.h"

namespace core = npuserve::core;
using npuserve::engine::Counters;
using npuserve::engine::Model;
using npuserve::engine::ModelOptions;
using testing::Client;
using testing::manual_executors;
using testing::ManualDevice;
using testing::tenfold;

namespace {

constexpr int kThreads = 16;
constexpr int kRequestsPerThread = 50;

std::unique_ptr<Model> make_model(ManualDevice& device, size_t instances, size_t slots, int64_t delay_ns) {
  ModelOptions made;
  made.scheduling.batching = {.max_batch_size = 8, .dynamic_batching = true, .max_queue_delay_ns = delay_ns};
  made.variable_output_axes = {{1}};
  return std::make_unique<Model>(std::move(made),
                                 manual_executors(device, tenfold({{1, 4}, {8, 4}, {8, 16}}), slots, instances));
}

template <class Body>
void in_threads(Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("under many threads each answer is to its own question, and the statistics are exact") {
  for (const size_t instances : {1, 3}) {
    for (const size_t slots : {1, 2, 3}) {
      for (const int64_t delay_ns : {0, 100'000}) {
        ManualDevice device;
        const auto model = make_model(device, instances, slots, delay_ns);
        Client client(*model);
        std::atomic<int> wrong = 0;
        std::atomic<int64_t> rows_sent = 0;
        in_threads([&](int thread) {
          for (int i = 0; i < kRequestsPerThread; ++i) {
            const int64_t rows = 1 + (thread + i) % 8;
            rows_sent += rows;
            const uint64_t token = client.send(rows, 1 + (thread * i) % 16);
            if (i % 4 == 0 && !client.is_right(token)) ++wrong;
          }
        });
        CHECK(client.all_answered_once());
        CHECK(wrong == 0);
        CHECK(client.count(core::StatusCode::kOk) == kThreads * kRequestsPerThread);
        const Counters counters = model->statistics();
        CHECK(counters.success.count == kThreads * kRequestsPerThread);
        CHECK(counters.queue.count == counters.success.count);
        CHECK(counters.inference_count == static_cast<uint64_t>(rows_sent));
        CHECK(counters.execution_count == device.launched().size());
        uint64_t executions = 0;
        uint64_t rows = 0;
        for (const auto& [size, batch] : counters.batches) {
          executions += batch.compute_infer.count;
          rows += static_cast<uint64_t>(size) * batch.compute_infer.count;
        }
        CHECK(executions == counters.execution_count);
        CHECK(rows == counters.inference_count);
        CHECK(model->pending() == 0);
        CHECK(device.most_in_flight() <= instances * slots);
      }
    }
  }
}

TEST_CASE("the durations of a request add up to its whole time") {
  ManualDevice device;
  const auto model = make_model(device, 1, 2, 0);
  Client client(*model);
  in_threads([&](int) {
    for (int i = 0; i < kRequestsPerThread; ++i) client.send(1 + i % 8, 4);
  });
  CHECK(client.all_answered_once());
  const Counters counters = model->statistics();
  CHECK(counters.success.ns ==
        counters.queue.ns + counters.compute_input.ns + counters.compute_infer.ns + counters.compute_output.ns);
  CHECK(counters.last_inference_ms > 1'735'689'600'000);
}

TEST_CASE("closing, cancelling and submitting at once: each request is answered once") {
  for (int round = 0; round < 20; ++round) {
    ManualDevice device;
    const auto model = make_model(device, 2, 2, round % 2 == 0 ? 0 : 1'000'000);
    Client client(*model);
    in_threads([&](int thread) {
      for (int i = 0; i < kRequestsPerThread; ++i) {
        const uint64_t token = client.send(1 + i % 8, 1 + i % 16);
        if (i % 3 == 0) model->cancel(token);
        if (thread == 0 && i == kRequestsPerThread / 2) model->close();
      }
    });
    CHECK(client.all_answered_once());
    CHECK(model->pending() == 0);
    const Counters counters = model->statistics();
    CHECK(counters.success.count == client.count(core::StatusCode::kOk));
    CHECK(counters.fail.count == client.count(core::StatusCode::kCancelled));
  }
}

TEST_CASE("random failures under load: each request is answered once, and right or not at all") {
  ManualDevice device;
  for (int nth = 3; nth < 2000; nth += 7) {
    device.fail(nth % 2 == 0 ? "launch" : "wait", nth, {core::StatusCode::kInternal, "broken"});
  }
  const auto model = make_model(device, 2, 2, 0);
  Client client(*model);
  in_threads([&](int thread) {
    for (int i = 0; i < kRequestsPerThread; ++i) client.send(1 + (i + thread) % 8, 1 + i % 16);
  });
  CHECK(client.all_answered_once());
  const Counters counters = model->statistics();
  CHECK(counters.success.count + counters.fail.count == kThreads * kRequestsPerThread);
  CHECK(client.count(core::StatusCode::kOk) == counters.success.count);
  for (uint64_t token = 0; token < kThreads * kRequestsPerThread; ++token) {
    if (client.answer(token).status.ok()) CHECK(client.is_right(token));
  }
}
