// The shared queue of a model and the hand-over of its batches to the instances. What to run is decided by
// batching/scheduler_core; this keeps the requests, asks it whenever the queue or an instance changes, and wakes only
// whom the answer concerns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "batching/buckets.h"
#include "batching/scheduler_core.h"
#include "core/mutex.h"
#include "core/request.h"
#include "core/status.h"
#include "engine/statistics.h"
#include "engine/token_table.h"
#include "engine/turns.h"

namespace npuserve::engine {

// Requests that share one execution, and the slot that is theirs until they are answered.
struct Batch {
  std::vector<core::Request> requests;
  std::vector<uint32_t> places;  // where the scheduler knows them
  std::vector<bool> given_up;    // once the execution has ended: by request, whether it was cancelled; empty: none was
  std::optional<size_t> gear;    // if it was chosen with the requests
  size_t slot = 0;
  uint64_t id = 0;  // counts the model's batches from 1

  int64_t rows() const;
};

// Why a request is not queued, if it is not.
struct Refusal {
  batching::Verdict verdict = batching::Verdict::kQueued;
  int64_t wait_ns = 0;  // overloaded: how long it would wait, about

  explicit operator bool() const { return verdict != batching::Verdict::kQueued; }
};

// What its sender is told. REQUIRES: a refusal.
core::Status status_of(const Refusal& refusal, const std::string& model);

// Any thread; next() is called by the launching thread of each instance only, next_expired() by one thread.
class Scheduler {
 public:
  // devices: of each instance. REQUIRES: as SchedulerCore.
  Scheduler(const batching::SchedulerOptions& options, const batching::BucketTable& buckets,
            const std::vector<int>& devices, size_t slots_per_instance);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Has the instances take turns with those of other models. cost_ns: what a batch is predicted to take; 0: unknown.
  // Before the first next().
  void share(std::shared_ptr<ModelTurns> turns, std::function<int64_t(const Batch&)> cost_ns);

  // Queues the request, or leaves it with the caller and says why. Throws std::bad_alloc, and then has done nothing.
  Refusal submit(core::Request& request, batching::Arrival arrival) EXCLUDES_LOCK(mutex_);

  // Queues the requests, each with its arrival, and leaves those in the vector that are refused: why, in their order.
  std::vector<Refusal> submit_all(std::vector<core::Request>& requests, std::vector<batching::Arrival>& arrivals)
      EXCLUDES_LOCK(mutex_);

  // Takes the request out of the queue if it is still there. One that executes is noted as given up.
  std::optional<core::Request> cancel(uint64_t token) EXCLUDES_LOCK(mutex_);

  // Blocks until there is a batch for the instance; none once stopped with an empty queue. The batch counts as
  // executing from here on.
  std::optional<Batch> next(size_t instance) EXCLUDES_LOCK(mutex_);

  // Blocks until requests have waited in the queue as long as they may, and takes them out; none once stopped with an
  // empty queue. Whatever the instances do: theirs is not the time to be told.
  std::vector<core::Request> next_expired() EXCLUDES_LOCK(mutex_);

  // The device is done with the oldest batch of the instance; its slot is still in use. Who gives it up from here on
  // comes too late.
  void execution_ended(size_t instance, Batch& batch) EXCLUDES_LOCK(mutex_);

  // The slot may be filled again, and the requests of its batch are no longer pending.
  void release_slot(size_t instance, const Batch& batch, int64_t now_ns) EXCLUDES_LOCK(mutex_);

  // Refuses new requests and runs the queued ones without further delay. Idempotent.
  void stop() EXCLUDES_LOCK(mutex_);

  // Requests queued or executing.
  size_t pending() const EXCLUDES_LOCK(mutex_);

  // What waits now, and how long a request that came now would.
  Backlog backlog() const EXCLUDES_LOCK(mutex_);

 private:
  // A request that is queued, or the note of one that executes.
  struct Record {
    core::Request request;
    batching::Ticket ticket = 0;
    bool is_queued = false;
    bool is_given_up = false;
  };

  struct InstanceState {
    std::vector<size_t> free_slots;
    bool waiting = false;               // its launcher sleeps and has not been woken
    bool held = false;                  // it waits for its turn on the device
    std::optional<int64_t> wake_at_ns;  // until when, if waiting
    core::ConditionVariable changed;
  };

  void make_room() REQUIRES_LOCK(mutex_);
  Refusal queue(core::Request& request, batching::Arrival arrival, int64_t now_ns) REQUIRES_LOCK(mutex_);
  core::Request unqueue(uint32_t place) REQUIRES_LOCK(mutex_);
  void forget(uint64_t token, uint32_t place) REQUIRES_LOCK(mutex_);
  bool may_take(size_t instance) REQUIRES_LOCK(mutex_);
  bool withdraw(size_t instance) REQUIRES_LOCK(mutex_);
  void hold(size_t instance, bool held) REQUIRES_LOCK(mutex_);
  bool release_held() REQUIRES_LOCK(mutex_);
  Batch take(size_t instance, int64_t now_ns) REQUIRES_LOCK(mutex_);
  void expire(int64_t now_ns) REQUIRES_LOCK(mutex_);
  bool is_over() const REQUIRES_LOCK(mutex_);
  void sleep(size_t instance, std::optional<int64_t> wake_at_ns) REQUIRES_LOCK(mutex_);
  core::ConditionVariable* concerned(std::optional<int64_t> known_now_ns = {}) REQUIRES_LOCK(mutex_);
  static core::ConditionVariable* wake(InstanceState& instance);
  void tell_expirer() REQUIRES_LOCK(mutex_);
  static void notify(core::ConditionVariable* sleeper);
  void tell(core::ConditionVariable* sleeper) EXCLUDES_LOCK(mutex_);
  void called(size_t instance) EXCLUDES_LOCK(mutex_);

  const bool holds_latency_;  // whether the core wants to know of answers
  // Constant from share() on.
  std::shared_ptr<ModelTurns> turns_;
  std::function<int64_t(const Batch&)> cost_ns_;

  mutable core::Mutex mutex_;
  batching::SchedulerCore core_ GUARDED_BY(mutex_);
  std::vector<Record> records_ GUARDED_BY(mutex_);
  std::vector<uint32_t> free_places_ GUARDED_BY(mutex_);           // of the records
  std::vector<uint32_t> places_ GUARDED_BY(mutex_);                // of the queued requests, by ticket
  TokenTable tokens_ GUARDED_BY(mutex_);                           // where their records are
  std::deque<InstanceState> instances_ GUARDED_BY(mutex_);         // a deque, as condition variables do not move
  size_t taken_ GUARDED_BY(mutex_) = 0;                            // requests out of the queue and not answered
  bool backlogged_ GUARDED_BY(mutex_) = false;                     // what the turns were told
  uint64_t batches_ GUARDED_BY(mutex_) = 0;                        // taken so far
  std::vector<core::Request> expired_ GUARDED_BY(mutex_);          // to be answered by the expirer
  core::ConditionVariable expirer_;                                // next_expired() waits for it
  std::optional<int64_t> expirer_wakes_at_ns_ GUARDED_BY(mutex_);  // none: it is not asleep
};

}  // namespace npuserve::engine
