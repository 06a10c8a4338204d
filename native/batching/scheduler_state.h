// What a SchedulerCore knows, and what it concludes from that; the events are in scheduler_core.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "batching/adaptive_delay.h"
#include "batching/bucket_choice.h"
#include "batching/expiry_heap.h"
#include "batching/instance_loads.h"
#include "batching/leading_batch.h"
#include "batching/learned_costs.h"
#include "batching/overtaking.h"
#include "batching/request_queue.h"
#include "batching/scheduler_core.h"

namespace npuserve::batching {

struct SchedulerCore::State {
  State(SchedulerOptions given, const BucketTable& table, const std::vector<int>& devices, size_t slots_per_instance);

  // Each level has two tiers: requests in time, and behind them those that timed out but stay.
  static size_t tier_of(int64_t level) { return 2 * static_cast<size_t>(level - 1); }
  static int64_t level_of(size_t tier) { return static_cast<int64_t>(tier / 2) + 1; }

  int64_t level_of(const Arrival& arrival) const;
  const QueuePolicy& policy_of(int64_t level) const;
  bool is_full(int64_t level) const;

  // Of the work that goes before a request of the level, and of what the instances have.
  int64_t predicted_wait_ns(int64_t level, int64_t now_ns) const;

  // Takes over the delay that the controller wants, if there is one.
  void adapt();

  // Whether the instance may be given requests that others, still to come, would go before. While it executes it may
  // not: they can wait until it is idle, when it is known who came.
  bool may_precede(size_t instance) const { return is_stopping || !loads.is_executing(instance); }

  // Equal shapes. REQUIRES, as all below: a request is queued.
  Plan plan(size_t instance, int64_t now_ns) const;
  TakenBatch take_leading(size_t instance, int64_t now_ns);

  // Buckets: a batch of the first tier's requests; none also if the instance executes and a better one may come.
  std::optional<BucketChoice> choose(size_t instance, int64_t now_ns) const;
  TakenBatch take_by_buckets(size_t instance, int64_t now_ns);

  // The request of the tier that the next batch has to begin with.
  std::optional<Ticket> due(size_t tier, int64_t now_ns) const;

  // What the first requests make. Goes on from where it was while the queue only grows at its end.
  const LeadingBatch& gather() const;

  Ticket first() const { return queue.line(queue.next_tier(0), 0).first; }

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

}  // namespace npuserve::batching
