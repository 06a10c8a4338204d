#include "batching/scheduler_core.h"

#include <algorithm>
#include <utility>

#include "batching/adaptive_delay.h"
#include "batching/bucket_choice.h"
#include "batching/expiry_heap.h"
#include "batching/instance_loads.h"
#include "batching/leading_batch.h"
#include "batching/learned_costs.h"
#include "batching/overtaking.h"

namespace npuserve::batching {
namespace {

// Each level has two tiers: requests in time, and behind them those that timed out but stay.
constexpr size_t kTiersPerLevel = 2;

size_t tier_of(int64_t level) { return kTiersPerLevel * static_cast<size_t>(level - 1); }

// A config without levels may say 0 of either.
SchedulerOptions checked(SchedulerOptions options) {
  options.levels = std::max<int64_t>(1, options.levels);
  options.default_level = std::clamp<int64_t>(options.default_level, 1, options.levels);
  options.max_overtaken = std::max<int64_t>(0, options.max_overtaken);
  return options;
}

}  // namespace

struct SchedulerCore::State {
  State(SchedulerOptions given, const BucketTable& table, const std::vector<int>& devices, size_t slots_per_instance)
      : options(checked(std::move(given))),
        by_buckets(options.buckets && !table.buckets().empty()),
        chooser(table, options.batching.max_batch_size),
        queue(kTiersPerLevel * static_cast<size_t>(options.levels), by_buckets ? table.buckets().size() : 1),
        overtaking(queue.tiers(), Overtaking(static_cast<size_t>(options.max_overtaken))),
        loads(devices, slots_per_instance),
        costs(by_buckets),
        leading(options.batching) {
    if (options.target_p99_ns > 0) {
      delay.emplace(options.target_p99_ns, options.batching.max_queue_delay_ns, options.batching.max_batch_size);
    }
    adapt();
  }

  // With buckets nothing waits for others to come: the delay bounds how long those that are there may go first.
  void adapt() {
    if (delay) options.batching.max_queue_delay_ns = by_buckets ? delay->allowance_ns() : delay->delay_ns();
  }

  const QueuePolicy& policy_of(int64_t level) const {
    const auto own = options.policies.find(level);
    return own == options.policies.end() ? options.default_policy : own->second;
  }

  int64_t level_of(const Arrival& arrival) const {
    return arrival.priority >= 1 && arrival.priority <= options.levels ? arrival.priority : options.default_level;
  }

  // What the table says of the requests of the tiers up to a level's last.
  double queued_nominal(int64_t level) const {
    double nominal = 0;
    for (size_t tier = queue.next_tier(0); tier < tier_of(level + 1); tier = queue.next_tier(tier + 1)) {
      for (size_t line = 0; line < queue.lines(); ++line) {
        const int64_t row_cost = by_buckets ? chooser.row_cost_ns(line) : 1;
        nominal += static_cast<double>(queue.line(tier, line).rows * row_cost);
      }
    }
    return nominal;
  }

  int64_t predicted_wait_ns(int64_t level, int64_t now_ns) const {
    return static_cast<int64_t>(loads.free_after(costs.queued_ns(queued_nominal(level)), now_ns));
  }

  bool is_full(int64_t level) const {
    const size_t tier = tier_of(level);
    const int64_t most = policy_of(level).max_size;
    return (most > 0 && queue.size(tier) + queue.size(tier + 1) >= static_cast<size_t>(most)) ||
           queue_is_full(options.batching, queue.size());
  }

  // What the first requests make. Goes on from where it was while the queue only grows at its end.
  const LeadingBatch& gather() const {
    if (gathered_at != queue.disruptions() || last_gathered == kNoTicket) {
      leading.clear();
      last_gathered = kNoTicket;
      gathered_at = queue.disruptions();
    }
    while (!leading.is_closed()) {
      const Ticket next = last_gathered == kNoTicket ? first() : queue.next(last_gathered);
      if (next == kNoTicket) break;
      leading.add(queue[next].waiting);
      last_gathered = next;
    }
    return leading;
  }

  Ticket first() const { return queue.size() == 0 ? kNoTicket : queue.line(queue.next_tier(0), 0).first; }

  Plan plan(size_t instance, int64_t now_ns) const {
    const Snapshot snapshot{
        .now_ns = now_ns, .executing = static_cast<int64_t>(loads.executing(instance)), .stopping = is_stopping};
    const Plan plan = batching::decide(options.batching, snapshot, gather());
    return may_precede(instance) || plan.take <= queue.size(0) ? plan : Plan{};
  }

  // Whether the instance may be given requests that others, still to come, would go before. While it executes it may
  // not: they can wait until it is idle, when it is known who came.
  bool may_precede(size_t instance) const { return is_stopping || !loads.is_executing(instance); }

  // The request of the tier that the next batch has to begin with.
  std::optional<Ticket> due(size_t tier, int64_t now_ns) const {
    const Ticket oldest = queue.oldest(tier);
    const QueuedRequest& request = queue[oldest];
    const int64_t delay_ns = options.batching.max_queue_delay_ns;
    const bool is_late = delay_ns > 0 && now_ns - request.waiting.arrival_ns >= delay_ns;
    if (is_late || overtaking[tier].is_due(request.sequence)) return oldest;
    return std::nullopt;
  }

  // A batch of the first tier's requests; none also if the instance executes and a better one may come.
  std::optional<BucketChoice> choose(size_t instance, int64_t now_ns) const {
    const size_t tier = queue.next_tier(0);
    if (tier > 0 && !may_precede(instance)) return std::nullopt;
    const std::optional<Ticket> leader = due(tier, now_ns);
    // Who takes has decided just before.
    if (chosen_at != queue.changes() || leader != chosen_leader) {
      chosen = chooser.choose(queue, tier, leader);
      chosen_at = queue.changes();
      chosen_leader = leader;
    }
    return chosen && (chosen->is_final || may_precede(instance)) ? chosen : std::nullopt;
  }

  TakenBatch take_by_buckets(size_t instance, int64_t now_ns);
  TakenBatch take_leading(size_t instance, int64_t now_ns);

  SchedulerOptions options;
  const bool by_buckets;
  const BucketChooser chooser;
  RequestQueue queue;
  ExpiryHeap expiries;
  std::vector<Overtaking> overtaking;  // of each tier
  InstanceLoads loads;
  LearnedCosts costs;
  std::optional<AdaptiveDelay> delay;
  bool is_stopping = false;

  // What gather() has.
  mutable LeadingBatch leading;
  mutable Ticket last_gathered = kNoTicket;
  mutable uint64_t gathered_at = 0;

  // The last choice, the queue that it was made of, and who had to be in it.
  mutable std::optional<BucketChoice> chosen;
  mutable uint64_t chosen_at = 0;
  mutable std::optional<Ticket> chosen_leader;
};

TakenBatch SchedulerCore::State::take_by_buckets(size_t instance, int64_t now_ns) {
  TakenBatch batch;
  const std::optional<BucketChoice> choice = choose(instance, now_ns);
  if (!choice) return batch;
  const size_t tier = queue.next_tier(0);
  batch.gear = choice->gear.gear;
  batch.tickets.reserve(static_cast<size_t>(choice->gear.rows));
  chooser.take(queue, tier, *choice, batch.tickets);
  // A request that has left the queue is still there to be read until its ticket is given to another.
  double useful = 0;
  uint64_t oldest_taken = queue[batch.tickets.front()].sequence;
  for (const Ticket ticket : batch.tickets) {
    const QueuedRequest& request = queue[ticket];
    useful += static_cast<double>(request.waiting.rows * chooser.row_cost_ns(request.line));
    if (request.tier == tier) oldest_taken = std::min(oldest_taken, request.sequence);
    expiries.remove(ticket);
  }
  overtaking[tier].took(oldest_taken);
  const auto nominal = static_cast<double>(choice->gear.cost_ns);
  loads.start(
      instance,
      {.predicted_ns = costs.batch_ns(nominal), .nominal = nominal, .useful = useful, .had_backlog = queue.size() > 0},
      now_ns);
  return batch;
}

TakenBatch SchedulerCore::State::take_leading(size_t instance, int64_t now_ns) {
  TakenBatch batch;
  const size_t count = plan(instance, now_ns).take;
  if (count == 0) return batch;
  batch.tickets.reserve(count);
  double rows = 0;
  while (batch.tickets.size() < count) {
    const Ticket ticket = first();
    rows += static_cast<double>(queue[ticket].waiting.rows);
    batch.tickets.push_back(ticket);
    queue.remove(ticket);
    expiries.remove(ticket);
  }
  loads.start(instance,
              {.predicted_ns = costs.batch_ns(rows), .nominal = rows, .useful = rows, .had_backlog = queue.size() > 0},
              now_ns);
  return batch;
}

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
  const Ticket ticket = state.queue.push(tier_of(level), state.by_buckets ? arrival.bucket : 0,
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
    const auto level = static_cast<int64_t>(tier / kTiersPerLevel) + 1;
    if (state.policy_of(level).delays) {
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
