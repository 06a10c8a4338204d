#include "batching/policy.h"

#include "batching/leading_batch.h"

namespace npuserve::batching {
namespace {

// Whether no later arrival could make the batch larger. Only without a delay is reaching the largest preferred size
// final: with one, a batch that becomes late while the device is busy takes all it can hold.
bool is_settled(const LeadingBatch& batch, int64_t max_queue_delay_ns) {
  if (batch.is_blocked() || batch.is_saturated() || batch.rows() >= batch.most()) return true;
  return max_queue_delay_ns == 0 && batch.rows() >= batch.largest_preferred();
}

}  // namespace

Plan decide(const PolicyOptions& options, const Snapshot& snapshot, const LeadingBatch& batch) {
  if (batch.requests() == 0) return {};
  const bool busy = snapshot.executing > 0;
  if (busy && snapshot.idle_elsewhere) return {};
  if (!options.dynamic_batching) return {.take = 1, .wake_at_ns = {}};

  const int64_t delay_ns = options.max_queue_delay_ns;
  if (busy && !snapshot.stopping && !is_settled(batch, delay_ns)) return {};

  const int64_t due_ns = batch.oldest_ns() + delay_ns;
  const bool late = snapshot.stopping || (delay_ns > 0 && snapshot.now_ns >= due_ns);
  if (batch.best() > 0 && !late) return {.take = batch.best(), .wake_at_ns = {}};
  const bool send = batch.is_blocked() || batch.rows() >= batch.largest_preferred() || late || delay_ns == 0;
  if (send) return {.take = batch.requests(), .wake_at_ns = {}};
  return {.take = 0, .wake_at_ns = due_ns};
}

Plan decide(const PolicyOptions& options, const Snapshot& snapshot) {
  LeadingBatch batch(options);
  for (const Waiting& request : snapshot.queue) {
    batch.add(request);
    if (batch.is_closed()) break;
  }
  return decide(options, snapshot, batch);
}

bool queue_is_full(const PolicyOptions& options, size_t waiting) {
  return options.max_queue_size > 0 && waiting >= static_cast<size_t>(options.max_queue_size);
}

}  // namespace npuserve::batching
