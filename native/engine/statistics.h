// The counters of one model, with Triton's meanings (statistics extension).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "core/mutex.h"

namespace npuserve::engine {

struct DurationCount {
  uint64_t count = 0;
  uint64_t ns = 0;

  void add(int64_t duration_ns, uint64_t times = 1);
};

// Executions of one batch size; durations are per execution.
struct BatchCounters {
  DurationCount compute_input;
  DurationCount compute_infer;
  DurationCount compute_output;
};

struct Counters {
  int64_t last_inference_ms = 0;             // wall clock, of the last execution; 0: never
  uint64_t inference_count = 0;              // rows of requests that succeeded
  uint64_t execution_count = 0;              // executions that succeeded
  DurationCount success;                     // arrival to answer
  DurationCount fail;                        // the same, of accepted requests that failed or were cancelled
  DurationCount queue;                       // arrival to the start of the batch, and the batch's wait for the device
  DurationCount compute_input;               // per request, its whole batch's: gathering and enqueueing
  DurationCount compute_infer;               // the device's
  DurationCount compute_output;              // scattering
  std::map<int64_t, BatchCounters> batches;  // by rows executed
};

// The instants of one execution, as steady_now_ns() counts, in order.
struct BatchTiming {
  int64_t start_ns = 0;     // a slot is taken
  int64_t launched_ns = 0;  // rows gathered and everything enqueued
  int64_t device_ns = 0;    // the device turns to it: at the launch, or when the batch before it ended
  int64_t ended_ns = 0;     // outputs are on the host
  int64_t answered_ns = 0;  // outputs are with their requests
};

// What became of one request of a batch.
struct Outcome {
  int64_t arrival_ns = 0;
  int64_t rows = 1;
  bool ok = false;
};

// Any thread.
class Statistics {
 public:
  // record: whether anything is counted.
  explicit Statistics(bool record = true) : record_(record) {}

  // One execution that succeeded; single requests of it may have failed afterwards.
  void record_execution(const BatchTiming& timing, std::span<const Outcome> outcomes) EXCLUDES_LOCK(mutex_);

  // Requests that were accepted and failed, or were cancelled.
  void record_failure(std::span<const Outcome> outcomes, int64_t now_ns) EXCLUDES_LOCK(mutex_);

  // All counters of one instant.
  Counters snapshot() const EXCLUDES_LOCK(mutex_);

 private:
  const bool record_;
  mutable core::Mutex mutex_;
  Counters counters_ GUARDED_BY(mutex_);
};

}  // namespace npuserve::engine
