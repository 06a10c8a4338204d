// When to close a batch, and over which requests: a pure function from what is so to what to do.
//
// Triton's dynamic batcher, pulled by each instance instead of pushed by one thread per model. An idle instance decides
// as Triton does. An instance that executes decides only what more arrivals could not change: a batch that is full, or
// that the next request in the queue cannot join, is queued behind the running one, so the device does not wait for the
// host; one that could still grow stays in the queue, growing, until the device is idle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace npuserve::batching {

class LeadingBatch;

struct PolicyOptions {
  int64_t max_batch_size = 0;  // rows; 0: the model has no batch dimension
  bool dynamic_batching = false;
  std::vector<int64_t> preferred_batch_sizes{};  // empty: max_batch_size alone
  int64_t max_queue_delay_ns = 0;
  int64_t max_queue_size = 0;  // requests; 0: no limit
};

// A queued request, as far as batching cares.
struct Waiting {
  int64_t rows = 1;
  int64_t arrival_ns = 0;
  int64_t capacity_rows = 1;         // the most rows of its row shape that any gear holds; at least `rows`
  std::vector<int64_t> row_shape{};  // what may differ of the non-batch dimensions: only equal ones share a batch
};

struct Snapshot {
  int64_t now_ns = 0;
  std::span<const Waiting> queue{};  // in the order in which it is served
  int64_t executing = 0;             // batches launched on this instance whose execution has not ended
  bool idle_elsewhere = false;       // another instance is idle with a free slot: the work is its
  bool stopping = false;             // nothing more will arrive
};

struct Plan {
  size_t take = 0;                      // leading requests to run now as one batch; 0: none
  std::optional<int64_t> wake_at_ns{};  // when to ask again even if nothing changes

  bool operator==(const Plan&) const = default;
};

// REQUIRES: the instance has a free slot.
Plan decide(const PolicyOptions& options, const Snapshot& snapshot);

// The same over the requests that were gathered, in place of the snapshot's queue.
Plan decide(const PolicyOptions& options, const Snapshot& snapshot, const LeadingBatch& batch);

// Whether a request that finds `waiting` others in the queue is refused.
bool queue_is_full(const PolicyOptions& options, size_t waiting);

}  // namespace npuserve::batching
