#include "engine/model.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "core/clock.h"

namespace npuserve::engine {
namespace {

// Longer than anybody waits, and no overflow in nanoseconds.
constexpr int64_t kLongestTimeoutUs = int64_t{1} << 50;

const Executor& first_of(const std::vector<std::unique_ptr<Executor>>& executors) {
  if (executors.empty()) throw std::invalid_argument("a model needs at least one instance");
  return *executors.front();
}

std::vector<int> devices_of(const ModelOptions& options, size_t instances) {
  if (options.devices.empty()) return std::vector<int>(instances, 0);
  if (options.devices.size() != instances) throw std::invalid_argument("devices must name a device for each instance");
  return options.devices;
}

batching::BucketTable buckets_of(const ModelOptions& options, const core::Signature& signature,
                                 const std::vector<int64_t>& costs_ns) {
  return options.scheduling.buckets ? batching::BucketTable(signature, costs_ns) : batching::BucketTable();
}

}  // namespace

Model::Model(ModelOptions options, std::vector<std::unique_ptr<Executor>> executors)
    : options_(checked(std::move(options))),
      layout_(first_of(executors).signature(), options_.scheduling.batching.max_batch_size,
              options_.variable_output_axes, options_.padding),
      gears_(layout_.signature(), layout_.batched()),
      costs_ns_(executors.front()->costs_ns()),
      buckets_(buckets_of(options_, layout_.signature(), costs_ns_)),
      statistics_(executors.size(), options_.record_statistics, layout_.signature().gears.size(), layout_.longest()),
      scheduler_(options_.scheduling, buckets_, devices_of(options_, executors.size()),
                 executors.front()->slot_count()) {
  if (options_.check_finite) finite_.emplace(options_.name, layout_.signature(), layout_.batched());
  share_devices(executors.size());
  const core::MutexLock lock(close_mutex_);
  try {
    if (times_out(options_)) expirer_ = std::thread([this] { answer_expired(); });
    for (std::unique_ptr<Executor>& executor : executors) {
      const size_t index = instances_.size();
      instances_.push_back(std::make_unique<Instance>(index, std::move(executor), layout_, gears_, scheduler_,
                                                      statistics_.of_instance(index),
                                                      options_.preserve_ordering ? &order_ : nullptr));
    }
  } catch (...) {
    // The instances already at work are joined by their destructors, which wait for this.
    scheduler_.stop();
    if (expirer_.joinable()) expirer_.join();
    throw;
  }
}

Model::~Model() { close(); }

void Model::share_devices(size_t instances) {
  if (!options_.turns) return;
  if (options_.seats.size() != instances) throw std::invalid_argument("turns need a seat for each instance");
  scheduler_.share(std::make_shared<ModelTurns>(options_.turns, options_.seats),
                   [this](const Batch& batch) { return cost_of(batch); });
}

// Of the gear that it will run in; 0 if that was not measured.
int64_t Model::cost_of(const Batch& batch) const {
  if (costs_ns_.empty()) return 0;
  const std::optional<size_t> gear =
      batch.gear ? batch.gear : gears_.choose(batch.rows(), batch.requests.front().inputs);
  return gear ? costs_ns_[*gear] : 0;
}

// --- Requests come.

void Model::submit(core::Request request) {
  layout_.check(request);
  std::optional<batching::Arrival> arrival = admit(request);
  if (!arrival) return;
  const Refusal refusal = scheduler_.submit(request, std::move(*arrival));
  if (refusal) refuse(request, refusal);
}

void Model::submit_all(std::vector<core::Request> requests) {
  std::vector<batching::Arrival> arrivals;
  arrivals.reserve(requests.size());
  std::erase_if(requests, [&](core::Request& request) {
    try {
      layout_.check(request);
    } catch (const std::invalid_argument& error) {
      request.completion->complete({core::StatusCode::kInternal, error.what()}, {});
      return true;
    }
    std::optional<batching::Arrival> admitted = admit(request);
    if (admitted) arrivals.push_back(std::move(*admitted));
    return !admitted;
  });
  const std::vector<Refusal> refusals = scheduler_.submit_all(requests, arrivals);
  for (size_t i = 0; i < refusals.size(); ++i) refuse(requests[i], refusals[i]);
}

void Model::refuse(core::Request& request, const Refusal& refusal) {
  if (refusal.verdict == batching::Verdict::kQueueFull) statistics_.of_others().record_rejections(1);
  if (refusal.verdict == batching::Verdict::kOverloaded) statistics_.of_others().record_shed(1);
  request.completion->complete(status_of(refusal, options_.name), {});
}

// Answers what the model cannot run. REQUIRES: a checked request.
std::optional<batching::Arrival> Model::admit(core::Request& request) {
  std::string fault = fault_of(request);
  if (fault.empty()) {
    layout_.cut_padding(request);
    const bool by_buckets = options_.scheduling.buckets;
    const std::optional<size_t> bucket = by_buckets ? buckets_.bucket_of(request.inputs, request.rows) : std::nullopt;
    const int64_t bucket_rows = bucket ? buckets_.buckets()[*bucket].most_rows : 0;
    const int64_t capacity_rows = by_buckets ? bucket_rows : gears_.most_rows(request.inputs);
    if (capacity_rows >= request.rows) {
      if (finite_) request.completion = finite_->wrap(std::move(request.completion));
      const int64_t timeout_us = std::min(request.timeout_us.value_or(0), kLongestTimeoutUs);
      return batching::Arrival{
          .rows = request.rows,
          .arrival_ns = request.arrival_ns,
          .capacity_rows = capacity_rows,
          .row_shape = by_buckets ? std::vector<int64_t>() : layout_.variable_sizes(request.inputs),
          .bucket = bucket.value_or(0),
          .priority = options_.has_levels ? static_cast<int64_t>(request.priority) : 0,
          .timeout_ns = timeout_us > 0 ? timeout_us * 1000 : 0};
    }
    fault = gears_.refusal(request.rows, request.inputs);
  }
  request.completion->complete({core::StatusCode::kInvalidArgument, std::move(fault)}, {});
  return std::nullopt;
}

std::string Model::fault_of(const core::Request& request) const {
  std::string misuse = misuse_of(request);
  return misuse.empty() ? layout_.disagreement(request.inputs) : misuse;
}

// Parameters out of range, where they have a meaning.
std::string Model::misuse_of(const core::Request& request) const {
  const auto levels = static_cast<uint64_t>(options_.scheduling.levels);
  if (options_.has_levels && request.priority > levels) {
    return "invalid value for 'priority' of model '" + options_.name + "', expected 0 to " + std::to_string(levels) +
           ", got " + std::to_string(request.priority);
  }
  if (request.timeout_us && *request.timeout_us <= 0 && policy_of(request).allows_override) {
    return "invalid value for 'timeout' of model '" + options_.name + "', expected microseconds above 0, got " +
           std::to_string(*request.timeout_us);
  }
  return {};
}

const batching::QueuePolicy& Model::policy_of(const core::Request& request) const {
  const batching::SchedulerOptions& scheduling = options_.scheduling;
  const bool chooses = options_.has_levels && request.priority > 0;
  const auto own =
      scheduling.policies.find(chooses ? static_cast<int64_t>(request.priority) : scheduling.default_level);
  return own == scheduling.policies.end() ? scheduling.default_policy : own->second;
}

// --- Requests go.

bool Model::cancel(uint64_t token) {
  const std::optional<core::Request> request = scheduler_.cancel(token);
  if (!request) return false;
  const Outcome outcome{.arrival_ns = request->arrival_ns, .rows = request->rows};
  statistics_.of_others().record_failure({&outcome, 1}, FailureReason::kCancelled, core::steady_now_ns());
  request->completion->complete({core::StatusCode::kCancelled, ""}, {});
  return true;
}

void Model::answer_expired() noexcept {
  while (true) {
    const std::vector<core::Request> expired = scheduler_.next_expired();
    if (expired.empty()) return;
    std::vector<Outcome> outcomes;
    outcomes.reserve(expired.size());
    for (const core::Request& request : expired) outcomes.push_back({request.arrival_ns, request.rows});
    statistics_.of_others().record_expirations(outcomes, core::steady_now_ns());
    for (const core::Request& request : expired) {
      request.completion->complete({core::StatusCode::kUnavailable, "Request timeout expired"}, {});
    }
  }
}

Counters Model::statistics() const {
  Counters counters = statistics_.snapshot();
  if (options_.record_statistics) counters.backlog = scheduler_.backlog();
  if (options_.record_statistics && finite_) counters.nonfinite_rows = finite_->nonfinite_rows();
  return counters;
}

void Model::close() {
  scheduler_.stop();
  const core::MutexLock lock(close_mutex_);
  instances_.clear();
  if (expirer_.joinable()) expirer_.join();
}

}  // namespace npuserve::engine
