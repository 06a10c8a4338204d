#include "batching/scheduler_core.h"

#include <utility>

#include "batching/scheduler_state.h"

namespace npuserve::batching {

SchedulerCore::SchedulerCore(SchedulerOptions options, const BucketTable& buckets, const std::vector<int>& devices,
                             size_t slots_per_instance)
    : state_(std::make_unique<State>(std::move(options), buckets, devices, slots_per_instance)) {}

SchedulerCore::~SchedulerCore() = default;
SchedulerCore::SchedulerCore(SchedulerCore&&) noexcept = default;

Admission SchedulerCore::submit(Arrival arrival, int64_t now_ns) {
  State& state = *state_;
  if (state.is_stopping) return {.verdict = Verdict::kStopping};
  const int64_t level = state.level_of(arrival);
  if (state.is_full(level)) return {.verdict = Verdict::kQueueFull};
  if (state.options.max_predicted_wait_ns > 0) {
    const int64_t wait_ns = state.predicted_wait_ns(level, now_ns);
    if (wait_ns > state.options.max_predicted_wait_ns) {
      return {.verdict = Verdict::kOverloaded, .predicted_wait_ns = wait_ns};
    }
  }
  if (state.delay) state.delay->arrived(arrival.rows, now_ns);
  state.adapt();
  const QueuePolicy& policy = state.policy_of(level);
  int64_t timeout_ns = policy.timeout_ns;
  const bool shortens = policy.allows_override && arrival.timeout_ns > 0 && arrival.timeout_ns < timeout_ns;
  if (shortens) timeout_ns = arrival.timeout_ns;
  const int64_t arrival_ns = arrival.arrival_ns;
  const Ticket ticket = state.queue.push(State::tier_of(level), state.by_buckets ? arrival.bucket : 0,
                                         {.rows = arrival.rows,
                                          .arrival_ns = arrival_ns,
                                          .capacity_rows = arrival.capacity_rows,
                                          .row_shape = std::move(arrival.row_shape)});
  if (timeout_ns > 0) state.expiries.add(ticket, arrival_ns + timeout_ns);
  return {.verdict = Verdict::kQueued, .ticket = ticket};
}

void SchedulerCore::cancel(Ticket ticket) {
  state_->queue.remove(ticket);
  state_->expiries.remove(ticket);
}

std::vector<Ticket> SchedulerCore::expire(int64_t now_ns) {
  State& state = *state_;
  std::vector<Ticket> refused;
  while (const std::optional<Ticket> ticket = state.expiries.pop(now_ns)) {
    const size_t tier = state.queue[*ticket].tier;
    if (state.policy_of(State::level_of(tier)).delays) {
      state.queue.move(*ticket, tier + 1);
    } else {
      state.queue.remove(*ticket);
      refused.push_back(*ticket);
    }
  }
  return refused;
}

std::optional<int64_t> SchedulerCore::next_expiry_ns() const { return state_->expiries.next_ns(); }

Decision SchedulerCore::decide(size_t instance, int64_t now_ns) const {
  const State& state = *state_;
  if (next_instance(now_ns) != instance) return {};
  if (state.by_buckets) return {.take = state.choose(instance, now_ns).has_value()};
  const Plan plan = state.plan(instance, now_ns);
  return {.take = plan.take > 0, .wake_at_ns = plan.wake_at_ns};
}

std::optional<size_t> SchedulerCore::next_instance(int64_t now_ns) const {
  if (state_->queue.size() == 0) return std::nullopt;
  return state_->loads.least_loaded(now_ns);
}

TakenBatch SchedulerCore::take(size_t instance, int64_t now_ns) {
  State& state = *state_;
  if (state.queue.size() == 0 || !state.loads.has_free_slot(instance)) return {};
  return state.by_buckets ? state.take_by_buckets(instance, now_ns) : state.take_leading(instance, now_ns);
}

void SchedulerCore::ended(size_t instance, int64_t now_ns) { state_->costs.learn(state_->loads.end(instance, now_ns)); }

void SchedulerCore::release_slot(size_t instance) { state_->loads.release_slot(instance); }

void SchedulerCore::set_held(size_t instance, bool held) { state_->loads.set_held(instance, held); }

void SchedulerCore::answered(int64_t latency_ns, int64_t now_ns) {
  State& state = *state_;
  if (!state.delay) return;
  state.delay->answered(latency_ns, now_ns);
  state.adapt();
}

void SchedulerCore::stop() { state_->is_stopping = true; }

bool SchedulerCore::stopping() const { return state_->is_stopping; }

size_t SchedulerCore::queued() const { return state_->queue.size(); }

bool SchedulerCore::has_free_slot(size_t instance) const { return state_->loads.has_free_slot(instance); }

int64_t SchedulerCore::predicted_wait_ns(int64_t now_ns) const {
  return state_->predicted_wait_ns(state_->options.levels, now_ns);
}

int64_t SchedulerCore::queue_delay_ns() const { return state_->options.batching.max_queue_delay_ns; }

}  // namespace npuserve::batching
