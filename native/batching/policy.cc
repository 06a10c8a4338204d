#include "batching/policy.h"

#include <algorithm>
#include <iterator>
#include <ranges>

namespace npuserve::batching {
namespace {

// The batch sizes that matter to the batch that the queue's head starts.
class Sizes {
 public:
  Sizes(const PolicyOptions& options, const Waiting& head)
      : options_(options), most_(std::min(std::max<int64_t>(1, options.max_batch_size), head.capacity_rows)) {
    for (const int64_t size : options.preferred_batch_sizes) {
      if (size <= most_) largest_preferred_ = std::max(largest_preferred_, size);
    }
    if (largest_preferred_ == 0) largest_preferred_ = most_;
  }

  int64_t most() const { return most_; }
  int64_t largest_preferred() const { return largest_preferred_; }

  bool is_preferred(int64_t rows) const {
    return rows == largest_preferred_ ||
           (rows <= most_ && std::ranges::count(options_.preferred_batch_sizes, rows) > 0);
  }

 private:
  const PolicyOptions& options_;
  int64_t most_;
  int64_t largest_preferred_ = 0;
};

// What the head of the queue would make as a batch.
struct Gathered {
  size_t requests = 0;
  int64_t rows = 0;
  int64_t oldest_ns = 0;   // the first arrival; the head may be a more urgent request that came later
  size_t best = 0;         // requests up to the last preferred size; 0: none was reached
  bool saturated = false;  // `best` is where the next request would have passed every preferred size
  bool blocked = false;    // the next request cannot join: too many rows, or another row shape
};

template <typename Queue>
Gathered gather(const Sizes& sizes, const Queue& queue) {
  Gathered batch;
  const Waiting& head = *std::begin(queue);
  batch.oldest_ns = head.arrival_ns;
  for (const Waiting& request : queue) {
    const int64_t rows = batch.rows + request.rows;
    if (batch.requests > 0) {
      if (rows > sizes.largest_preferred() && batch.best == 0) {
        batch.best = batch.requests;
        batch.saturated = true;
      }
      batch.blocked = rows > sizes.most() || request.row_shape != head.row_shape;
      if (batch.blocked) break;
    }
    ++batch.requests;
    batch.rows = rows;
    batch.oldest_ns = std::min(batch.oldest_ns, request.arrival_ns);
    if (sizes.is_preferred(rows)) batch.best = batch.requests;
  }
  return batch;
}

// Whether no later arrival could make the batch larger. Only without a delay is reaching the largest preferred size
// final: with one, a batch that becomes late while the device is busy takes all it can hold.
bool is_settled(const Sizes& sizes, const Gathered& batch, int64_t max_queue_delay_ns) {
  if (batch.blocked || batch.saturated || batch.rows >= sizes.most()) return true;
  return max_queue_delay_ns == 0 && batch.rows >= sizes.largest_preferred();
}

template <typename Queue>
Plan decide_over(const PolicyOptions& options, const Snapshot& snapshot, const Queue& queue) {
  const bool busy = snapshot.executing > 0;
  if (busy && snapshot.idle_elsewhere) return {};
  if (!options.dynamic_batching) return {.take = 1, .wake_at_ns = {}};

  const Waiting& head = *std::begin(queue);
  const Sizes sizes(options, head);
  const Gathered batch = gather(sizes, queue);
  const int64_t delay_ns = options.max_queue_delay_ns;
  if (busy && !snapshot.stopping && !is_settled(sizes, batch, delay_ns)) return {};

  const int64_t due_ns = batch.oldest_ns + delay_ns;
  const bool late = snapshot.stopping || (delay_ns > 0 && snapshot.now_ns >= due_ns);
  if (batch.best > 0 && !late) return {.take = batch.best, .wake_at_ns = {}};
  const bool send = batch.blocked || batch.rows >= sizes.largest_preferred() || late || delay_ns == 0;
  if (send) return {.take = batch.requests, .wake_at_ns = {}};
  return {.take = 0, .wake_at_ns = due_ns};
}

}  // namespace

Plan decide(const PolicyOptions& options, const Snapshot& snapshot) {
  if (snapshot.queue.empty()) return {};
  return decide_over(options, snapshot, snapshot.queue);
}

Plan decide(const PolicyOptions& options, const Snapshot& snapshot, std::span<const Waiting* const> queue) {
  if (queue.empty()) return {};
  return decide_over(options, snapshot,
                     std::views::transform(queue, [](const Waiting* each) -> const Waiting& { return *each; }));
}

bool queue_is_full(const PolicyOptions& options, size_t waiting) {
  return options.max_queue_size > 0 && waiting >= static_cast<size_t>(options.max_queue_size);
}

}  // namespace npuserve::batching
