// What the engine costs a batch, from C++: an identity model on an AscendCL library, no Python.
//   engine_overhead LIBRARY MODEL LATENCY_REQUESTS IN_FLIGHT REQUESTS
// prints: p50_us p99_us requests_per_second
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <semaphore>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "acl/library.h"
#include "acl/runtime.h"
#include "core/clock.h"
#include "engine/acl_executor.h"
#include "engine/model.h"

namespace {

using namespace npuserve;  // a program, not a header

constexpr int64_t kMaxBatchSize = 8;
constexpr std::size_t kSlots = 2;
constexpr std::array<float, 4> kRow{1, 2, 3, 4};

// Reads the outputs where they lie and gives the sender its turn back.
class Answer final : public core::Completion {
 public:
  explicit Answer(std::counting_semaphore<>& turns) : turns_(turns) {}
  core::Status receive(std::span<const core::OutputView> outputs) noexcept override {
    return outputs.size() == 1 ? core::Status{} : core::Status{core::StatusCode::kInternal, "not one output"};
  }
  void complete(core::Status status, const core::Timing& /*timing*/) noexcept override {
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.message().c_str());
      std::abort();
    }
    turns_.release();
  }

 private:
  std::counting_semaphore<>& turns_;
};

std::unique_ptr<engine::Model> load(const std::string& library, const std::string& path) {
  const auto runtime = acl::Runtime::create(acl::Library::open({{library}}));
  std::vector<std::unique_ptr<engine::Executor>> executors;
  auto executor = std::make_unique<engine::AclExecutor>(runtime, path, 0, engine::AclExecutorOptions{.slots = kSlots});
  executor->warm_up();
  executors.push_back(std::move(executor));
  engine::ModelOptions options;
  options.scheduling.batching.max_batch_size = kMaxBatchSize;
  options.scheduling.batching.dynamic_batching = true;
  options.variable_output_axes.resize(1);
  return std::make_unique<engine::Model>(std::move(options), std::move(executors));
}

void submit(engine::Model& model, uint64_t token, std::counting_semaphore<>& turns) {
  core::Request request;
  request.token = token;
  const auto bytes = std::as_bytes(std::span(kRow));
  request.inputs.push_back({bytes.data(), bytes.size(), {1, static_cast<int64_t>(kRow.size())}});
  request.arrival_ns = core::steady_now_ns();
  request.completion = std::make_unique<Answer>(turns);
  model.submit(std::move(request));
}

// Returns nanoseconds from submit to completion, sorted.
std::vector<int64_t> latencies(engine::Model& model, std::size_t requests) {
  std::counting_semaphore<> turns(0);
  std::vector<int64_t> samples;
  for (std::size_t token = 0; token < requests; ++token) {
    const int64_t start = core::steady_now_ns();
    submit(model, token, turns);
    turns.acquire();
    samples.push_back(core::steady_now_ns() - start);
  }
  std::sort(samples.begin(), samples.end());
  return samples;
}

double requests_per_second(engine::Model& model, std::size_t in_flight, std::size_t requests) {
  std::counting_semaphore<> turns(static_cast<std::ptrdiff_t>(in_flight));
  const int64_t start = core::steady_now_ns();
  for (std::size_t token = 0; token < requests; ++token) {
    turns.acquire();
    submit(model, token, turns);
  }
  for (std::size_t turn = 0; turn < in_flight; ++turn) {
    turns.acquire();
  }
  return static_cast<double>(requests) * 1e9 / static_cast<double>(core::steady_now_ns() - start);
}

double quantile_us(const std::vector<int64_t>& sorted, double q) {
  return static_cast<double>(sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))]) / 1e3;
}

int run(std::span<char*> arguments) {
  const auto model = load(arguments[1], arguments[2]);
  const auto samples = latencies(*model, std::stoul(arguments[3]));
  const double rate = requests_per_second(*model, std::stoul(arguments[4]), std::stoul(arguments[5]));
  std::printf("%.3f %.3f %.1f\n", quantile_us(samples, 0.5), quantile_us(samples, 0.99), rate);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::span arguments(argv, static_cast<std::size_t>(argc));
  if (arguments.size() != 6) {
    std::fprintf(stderr, "usage: %s LIBRARY MODEL LATENCY_REQUESTS IN_FLIGHT REQUESTS\n", arguments[0]);
    return 2;
  }
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
