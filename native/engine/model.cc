#include "engine/model.h"

#include <stdexcept>
#include <utility>

#include "core/clock.h"

namespace npuserve::engine {
namespace {

ModelOptions checked(ModelOptions options) {
  const batching::PolicyOptions& batching = options.batching;
  if (batching.max_queue_delay_ns < 0 || batching.max_queue_size < 0) {
    throw std::invalid_argument("the queue delay and the queue size must be 0 or more");
  }
  if (batching.dynamic_batching && batching.max_batch_size < 1) {
    throw std::invalid_argument("dynamic batching needs a max_batch_size of 1 or more");
  }
  for (const int64_t size : batching.preferred_batch_sizes) {
    if (size < 1 || size > batching.max_batch_size) {
      throw std::invalid_argument("preferred batch size " + std::to_string(size) + " is not in 1 to max_batch_size (" +
                                  std::to_string(batching.max_batch_size) + ")");
    }
  }
  return options;
}

const Executor& first_of(const std::vector<std::unique_ptr<Executor>>& executors) {
  if (executors.empty()) throw std::invalid_argument("a model needs at least one instance");
  return *executors.front();
}

}  // namespace

Model::Model(ModelOptions options, std::vector<std::unique_ptr<Executor>> executors)
    : options_(checked(std::move(options))),
      layout_(first_of(executors).signature(), options_.batching.max_batch_size, options_.variable_output_axes),
      gears_(layout_.signature(), layout_.batched()),
      statistics_(executors.size(), options_.record_statistics),
      scheduler_(options_.batching, executors.size(), executors.front()->slot_count()) {
  const core::MutexLock lock(close_mutex_);
  try {
    for (std::unique_ptr<Executor>& executor : executors) {
      const size_t index = instances_.size();
      instances_.push_back(std::make_unique<Instance>(index, std::move(executor), layout_, gears_, scheduler_,
                                                      statistics_.of_instance(index)));
    }
  } catch (...) {
    // The instances already at work are joined by their destructors, which wait for this.
    scheduler_.stop();
    throw;
  }
}

Model::~Model() { close(); }

void Model::submit(core::Request request) {
  layout_.check(request);
  std::optional<batching::Waiting> waiting = admit(request);
  if (!waiting) return;
  const Refusal refused = scheduler_.submit(request, std::move(*waiting));
  if (refused != Refusal::kNone) refuse({&request, 1}, refused);
}

void Model::submit_all(std::vector<core::Request> requests) {
  std::vector<batching::Waiting> waiting;
  waiting.reserve(requests.size());
  std::erase_if(requests, [&](core::Request& request) {
    try {
      layout_.check(request);
    } catch (const std::invalid_argument& error) {
      request.completion->complete({core::StatusCode::kInternal, error.what()}, {});
      return true;
    }
    std::optional<batching::Waiting> admitted = admit(request);
    if (admitted) waiting.push_back(std::move(*admitted));
    return !admitted;
  });
  const Refusal refused = scheduler_.submit_all(requests, waiting);
  if (refused != Refusal::kNone) refuse(requests, refused);
}

void Model::refuse(std::span<core::Request> requests, Refusal refusal) {
  if (refusal == Refusal::kQueueFull) statistics_.of_others().record_rejections(requests.size());
  for (const core::Request& request : requests) request.completion->complete(status_of(refusal), {});
}

// Answers what the model cannot run. REQUIRES: a checked request.
std::optional<batching::Waiting> Model::admit(core::Request& request) const {
  if (std::string disagreement = layout_.disagreement(request.inputs); !disagreement.empty()) {
    request.completion->complete({core::StatusCode::kInvalidArgument, std::move(disagreement)}, {});
    return std::nullopt;
  }
  const int64_t capacity_rows = gears_.most_rows(request.inputs);
  if (capacity_rows < request.rows) {
    request.completion->complete({core::StatusCode::kInvalidArgument, gears_.refusal(request.rows, request.inputs)},
                                 {});
    return std::nullopt;
  }
  return batching::Waiting{.rows = request.rows,
                           .arrival_ns = request.arrival_ns,
                           .capacity_rows = capacity_rows,
                           .row_shape = layout_.variable_sizes(request.inputs)};
}

bool Model::cancel(uint64_t token) {
  const std::optional<core::Request> request = scheduler_.cancel(token);
  if (!request) return false;
  const Outcome outcome{.arrival_ns = request->arrival_ns, .rows = request->rows, .ok = false};
  statistics_.of_others().record_failure({&outcome, 1}, FailureReason::kCancelled, core::steady_now_ns());
  request->completion->complete({core::StatusCode::kCancelled, ""}, {});
  return true;
}

Counters Model::statistics() const {
  Counters counters = statistics_.snapshot();
  if (options_.record_statistics) counters.queued = scheduler_.queued();
  return counters;
}

void Model::close() {
  scheduler_.stop();
  const core::MutexLock lock(close_mutex_);
  instances_.clear();
}

}  // namespace npuserve::engine
