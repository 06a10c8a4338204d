// The counters of one model, with Triton's meanings (statistics extension).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <vector>

#include "core/mutex.h"

namespace npuserve::engine {

struct DurationCount {
  uint64_t count = 0;
  uint64_t ns = 0;

  void add(int64_t duration_ns);
  void add(const DurationCount& other);
};

// Executions of one batch size; durations are per execution.
struct BatchCounters {
  DurationCount compute_input;
  DurationCount compute_infer;
  DurationCount compute_output;
};

// Why requests fail, as Triton sorts it (nv_inference_request_failure).
enum class FailureReason : size_t {
  kRejected,   // refused by a full queue, and then not in Counters::fail, or timed out in it
  kCancelled,  // given up while queued
  kBackend,    // the execution failed
  kOther,      // the outputs could not be delivered
};
inline constexpr size_t kFailureReasons = 4;

// Where the work of a gear's executions went, in tokens: positions of the first variable axis of rows, or rows where
// there is none. The five sum to the executions times what the gear holds.
struct GearCounters {
  uint64_t executions = 0;
  uint64_t useful = 0;
  uint64_t padding = 0;    // beyond a request's own length
  uint64_t cancelled = 0;  // of requests that nobody wanted any more, or that could not take their outputs
  uint64_t expired = 0;    // of requests whose deadlines had passed
  uint64_t empty = 0;      // of rows that were no request's

  void add(const GearCounters& other);
};

// What waits for an instance at an instant.
struct Backlog {
  size_t queued = 0;              // requests
  int64_t predicted_wait_ns = 0;  // how long one that came now would wait
  int64_t queue_delay_ns = 0;     // how long a batch is held for more
};

struct Counters {
  int64_t last_inference_ms = 0;                     // wall clock, of the last execution; 0: never
  uint64_t inference_count = 0;                      // rows of requests that succeeded
  uint64_t execution_count = 0;                      // executions that succeeded
  DurationCount success;                             // arrival to answer
  DurationCount fail;                                // the same, of accepted requests that failed or were cancelled
  std::array<uint64_t, kFailureReasons> failures{};  // by FailureReason
  DurationCount queue;                       // arrival to the start of the batch, and the batch's wait for the device
  DurationCount compute_input;               // per request, its whole batch's: gathering and enqueueing
  DurationCount compute_infer;               // the device's
  DurationCount compute_output;              // scattering
  std::map<int64_t, BatchCounters> batches;  // by rows executed
  uint64_t padded_rows = 0;                  // rows of the gears that were executed and were no request's
  Backlog backlog;                           // now
  uint64_t expired = 0;                      // requests that timed out in the queue
  uint64_t shed = 0;                // requests that were refused as they would have waited too long; in no failure
  uint64_t nonfinite_rows = 0;      // of answers that had NaN or infinity in them, if that is looked for
  std::vector<GearCounters> gears;  // by number in the signature
  std::vector<uint64_t> lengths;    // rows that were answered, by their length in tokens; empty: not counted
};

// The instants of one execution, as steady_now_ns() counts, in order.
struct BatchTiming {
  int64_t start_ns = 0;     // a slot is taken
  int64_t gathered_ns = 0;  // rows gathered
  int64_t launched_ns = 0;  // rows gathered and everything enqueued; before the launch if that is synchronous
  int64_t device_ns = 0;    // the device turns to it: at the launch, or when the batch before it ended
  int64_t ended_ns = 0;     // outputs are on the host
  int64_t answered_ns = 0;  // outputs are with their requests
};

// Who had a use for a request's answer when it was there.
enum class Use { kSender, kNobodyCancelled, kNobodyExpired };

// What became of one request of a batch.
struct Outcome {
  int64_t arrival_ns = 0;
  int64_t rows = 1;
  bool ok = false;
  int64_t length = 1;  // in tokens a row
  Use use = Use::kSender;
};

// The gear that executed a batch.
struct RunGear {
  size_t number = 0;
  int64_t rows = 1;
  int64_t length = 1;  // in tokens a row
};

// The longest rows whose lengths are counted: a place for each length takes 512 KiB an instance.
inline constexpr size_t kMaxCountedLength = 65'536;

// What one thread counts, mostly: its mutex is then never waited for, but while somebody reads.
class alignas(64) StatisticsShard {  // a cache line apart from the others
 public:
  // record: whether anything is counted. gears: of the model. longest: of a row's lengths; 0: none.
  StatisticsShard(bool record, size_t gears, size_t longest);

  // One execution that succeeded; single requests of it may have failed afterwards.
  void record_execution(const BatchTiming& timing, const RunGear& gear, std::span<const Outcome> outcomes)
      EXCLUDES_LOCK(mutex_);

  // Requests that were accepted and failed, or were cancelled.
  void record_failure(std::span<const Outcome> outcomes, FailureReason reason, int64_t now_ns) EXCLUDES_LOCK(mutex_);

  // Requests that timed out in the queue.
  void record_expirations(std::span<const Outcome> outcomes, int64_t now_ns) EXCLUDES_LOCK(mutex_);

  // Requests that a full queue refused.
  void record_rejections(size_t requests) EXCLUDES_LOCK(mutex_);

  // Requests that were refused as they would have waited too long.
  void record_shed(size_t requests) EXCLUDES_LOCK(mutex_);

  // Adds all that was counted so far: of an execution, everything or nothing.
  void add_to(Counters& sum) const EXCLUDES_LOCK(mutex_);

 private:
  void record_tokens(const RunGear& gear, std::span<const Outcome> outcomes) REQUIRES_LOCK(mutex_);

  const bool record_;
  mutable core::Mutex mutex_;
  Counters counters_ GUARDED_BY(mutex_);
};

// The counters of a model, kept apart by who counts and merged when read. Any thread.
class Statistics {
 public:
  // A shard for each instance, and one for all others. record: whether anything is counted. gears: of the model.
  // longest: the length of the longest row that a gear holds; 0 if rows have no length. Beyond kMaxCountedLength they
  // are not counted.
  explicit Statistics(size_t instances, bool record = true, size_t gears = 1, size_t longest = 0);

  StatisticsShard& of_instance(size_t instance) { return shards_[instance]; }
  StatisticsShard& of_others() { return shards_.back(); }

  // What is in a shard when a sender gets its answer is in every snapshot from then on.
  Counters snapshot() const;

 private:
  std::deque<StatisticsShard> shards_;  // a deque, as mutexes do not move
};

}  // namespace npuserve::engine
