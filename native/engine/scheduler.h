// The shared queue of a model and the hand-over of its batches to the instances. What to run is decided by
// batching/policy; this asks it whenever the queue or an instance changes, and wakes only whom the answer concerns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "batching/pending.h"
#include "batching/policy.h"
#include "core/mutex.h"
#include "core/request.h"
#include "core/status.h"

namespace npuserve::engine {

// Requests that share one execution, and the slot that is theirs until they are answered.
struct Batch {
  std::vector<core::Request> requests;
  size_t slot = 0;
  uint64_t id = 0;  // counts the model's batches from 1

  int64_t rows() const;
};

// Why a request is not queued.
enum class Refusal { kNone, kQueueFull, kStopping };

// What its sender is told. REQUIRES: not kNone.
core::Status status_of(Refusal refusal);

// Any thread; next() is called by the launching thread of each instance only.
class Scheduler {
 public:
  // REQUIRES: instances >= 1; slots_per_instance >= 1.
  Scheduler(batching::PolicyOptions options, size_t instances, size_t slots_per_instance);

  // Queues the request, or leaves it with the caller and says why.
  Refusal submit(core::Request& request, batching::Waiting waiting) EXCLUDES_LOCK(mutex_);

  // Queues the leading requests, each with its `waiting`, and leaves those that are refused in the vector, for the one
  // reason that is returned.
  Refusal submit_all(std::vector<core::Request>& requests, std::vector<batching::Waiting>& waiting)
      EXCLUDES_LOCK(mutex_);

  // Takes the request out of the queue if it is still there.
  std::optional<core::Request> cancel(uint64_t token) EXCLUDES_LOCK(mutex_);

  // Blocks until there is a batch for the instance; none once stopped with an empty queue. The batch counts as
  // executing from here on.
  std::optional<Batch> next(size_t instance) EXCLUDES_LOCK(mutex_);

  // The device is done with one batch of the instance; its slot is still in use.
  void execution_ended(size_t instance) EXCLUDES_LOCK(mutex_);

  // The slot may be filled again and its `answered` requests are no longer pending.
  void release_slot(size_t instance, size_t slot, size_t answered) EXCLUDES_LOCK(mutex_);

  // Refuses new requests and runs the queued ones without further delay. Idempotent.
  void stop() EXCLUDES_LOCK(mutex_);

  // Requests queued or executing.
  size_t pending() const EXCLUDES_LOCK(mutex_);

  // Requests queued.
  size_t queued() const EXCLUDES_LOCK(mutex_);

 private:
  struct InstanceState {
    std::vector<size_t> free_slots;
    int64_t executing = 0;
    bool waiting = false;               // its launcher sleeps and has not been woken
    std::optional<int64_t> wake_at_ns;  // until when, if waiting
    core::ConditionVariable changed;

    bool is_idle() const { return executing == 0 && !free_slots.empty(); }
  };

  Refusal refusal() const REQUIRES_LOCK(mutex_);
  batching::Plan plan_for(size_t instance) const REQUIRES_LOCK(mutex_);
  Batch take(size_t instance, size_t count) REQUIRES_LOCK(mutex_);
  void sleep(size_t instance, std::optional<int64_t> wake_at_ns) REQUIRES_LOCK(mutex_);
  core::ConditionVariable* concerned() REQUIRES_LOCK(mutex_);
  static void notify(core::ConditionVariable* sleeper);

  const batching::PolicyOptions options_;

  mutable core::Mutex mutex_;
  batching::PendingQueue queue_ GUARDED_BY(mutex_);
  std::deque<InstanceState> instances_ GUARDED_BY(mutex_);  // a deque, as condition variables do not move
  size_t taken_ GUARDED_BY(mutex_) = 0;                     // requests out of the queue and not answered
  uint64_t batches_ GUARDED_BY(mutex_) = 0;                 // taken so far
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace npuserve::engine
