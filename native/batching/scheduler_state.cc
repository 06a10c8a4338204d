#include "batching/scheduler_state.h"

#include <algorithm>
#include <utility>

namespace npuserve::batching {
namespace {

// A config without levels may say 0 of either.
SchedulerOptions checked(SchedulerOptions options) {
  options.levels = std::max<int64_t>(1, options.levels);
  options.default_level = std::clamp<int64_t>(options.default_level, 1, options.levels);
  options.max_overtaken = std::max<int64_t>(0, options.max_overtaken);
  return options;
}

}  // namespace

SchedulerCore::State::State(SchedulerOptions given, const BucketTable& table, const std::vector<int>& devices,
                            size_t slots_per_instance)
    : options(checked(std::move(given))),
      by_buckets(options.buckets && !table.buckets().empty()),
      chooser(table, options.batching.max_batch_size),
      queue(tier_of(options.levels + 1), by_buckets ? table.buckets().size() : 1),
      overtaking(queue.tiers(), Overtaking(static_cast<size_t>(options.max_overtaken))),
      loads(devices, slots_per_instance),
      costs(by_buckets),
      leading(options.batching) {
  if (options.target_p99_ns > 0) {
    delay.emplace(options.target_p99_ns, options.batching.max_queue_delay_ns, options.batching.max_batch_size);
  }
  adapt();
}

int64_t SchedulerCore::State::level_of(const Arrival& arrival) const {
  return arrival.priority >= 1 && arrival.priority <= options.levels ? arrival.priority : options.default_level;
}

const QueuePolicy& SchedulerCore::State::policy_of(int64_t level) const {
  const auto own = options.policies.find(level);
  return own == options.policies.end() ? options.default_policy : own->second;
}

bool SchedulerCore::State::is_full(int64_t level) const {
  const size_t tier = tier_of(level);
  const int64_t most = policy_of(level).max_size;
  return (most > 0 && queue.size(tier) + queue.size(tier + 1) >= static_cast<size_t>(most)) ||
         queue_is_full(options.batching, queue.size());
}

int64_t SchedulerCore::State::predicted_wait_ns(int64_t level, int64_t now_ns) const {
  double nominal = 0;
  for (size_t tier = queue.next_tier(0); tier < tier_of(level + 1); tier = queue.next_tier(tier + 1)) {
    for (size_t line = 0; line < queue.lines(); ++line) {
      const int64_t row_cost = by_buckets ? chooser.row_cost_ns(line) : 1;
      nominal += static_cast<double>(queue.line(tier, line).rows * row_cost);
    }
  }
  return static_cast<int64_t>(loads.free_after(costs.queued_ns(nominal), now_ns));
}

void SchedulerCore::State::adapt() {
  // With buckets nothing waits for others to come: the delay bounds how long those that are there may go first.
  if (delay) options.batching.max_queue_delay_ns = by_buckets ? delay->allowance_ns() : delay->delay_ns();
}

Plan SchedulerCore::State::plan(size_t instance, int64_t now_ns) const {
  const Snapshot snapshot{
      .now_ns = now_ns, .executing = static_cast<int64_t>(loads.executing(instance)), .stopping = is_stopping};
  const Plan plan = batching::decide(options.batching, snapshot, gather());
  return may_precede(instance) || plan.take <= queue.size(0) ? plan : Plan{};
}

const LeadingBatch& SchedulerCore::State::gather() const {
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

std::optional<Ticket> SchedulerCore::State::due(size_t tier, int64_t now_ns) const {
  const Ticket oldest = queue.oldest(tier);
  const QueuedRequest& request = queue[oldest];
  const int64_t delay_ns = options.batching.max_queue_delay_ns;
  const bool is_late = delay_ns > 0 && now_ns - request.waiting.arrival_ns >= delay_ns;
  if (is_late || overtaking[tier].is_due(request.sequence)) return oldest;
  return std::nullopt;
}

std::optional<BucketChoice> SchedulerCore::State::choose(size_t instance, int64_t now_ns) const {
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

}  // namespace npuserve::batching
