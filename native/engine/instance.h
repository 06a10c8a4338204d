// One loaded copy of a model at work: a thread that launches batches and a thread that completes them, in the order of
// their launches, with as many in flight as the executor has slots. If the executor is synchronous, the first does
// both: a second would only cost the hand-over.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "batching/gears.h"
#include "core/lending.h"
#include "core/mutex.h"
#include "core/status.h"
#include "core/timing.h"
#include "engine/answer_order.h"
#include "engine/executor.h"
#include "engine/layout.h"
#include "engine/scheduler.h"
#include "engine/statistics.h"

namespace npuserve::engine {

class Instance {
 public:
  // Starts working at once. All that is referred to must outlive the instance; `index` is its number in the scheduler.
  // order: what the answers go through; null: they go out as they come.
  Instance(size_t index, std::unique_ptr<Executor> executor, const Layout& layout, const batching::GearTable& gears,
           Scheduler& scheduler, StatisticsShard& statistics, AnswerOrder* order);

  // Waits until every accepted request is answered, then unloads. REQUIRES: the scheduler was told to stop.
  ~Instance();

  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

 private:
  // A batch between its launch and its answers. The launcher writes it until `launched`, then it is the completer's.
  struct Flight {
    Batch batch;
    size_t gear = 0;
    BatchTiming timing;
    std::vector<core::Loan> loans;  // of inputs that the device reads where they lie
    core::Status status;            // guarded by mutex_: a failure elsewhere on the stream may set it at any time
    bool launched = false;
  };

  void launch_batches() noexcept;
  const Flight& launch(Batch batch, const core::Status& attached);
  core::Status enqueue(Flight& flight);
  void provide_inputs(Flight& flight);
  void complete_batches() noexcept;
  void end_completer() EXCLUDES_LOCK(mutex_);
  void complete_oldest(const Flight& oldest, const core::Status& attached);
  Flight* oldest_launched() EXCLUDES_LOCK(mutex_);
  core::Status await(const Flight& flight) EXCLUDES_LOCK(mutex_);
  void fail_all_in_flight(const core::Status& status) EXCLUDES_LOCK(mutex_);
  Flight remove_oldest() EXCLUDES_LOCK(mutex_);
  void finish(Flight flight);
  void send(uint64_t batch, Answers answers);
  RunGear ran(size_t gear) const;
  core::Status deliver(const Flight& flight, const core::Request& request, int64_t first_row) const;
  Outcome outcome_of(const Flight& flight, size_t request, bool ok) const;
  core::Timing timing_of(const Flight& flight) const;

  const size_t index_;
  const std::unique_ptr<Executor> executor_;
  const Layout& layout_;
  const batching::GearTable& gears_;
  Scheduler& scheduler_;
  StatisticsShard& statistics_;
  AnswerOrder* const order_;

  core::Mutex mutex_;
  core::ConditionVariable changed_;
  std::deque<Flight> in_flight_ GUARDED_BY(mutex_);  // a deque: an element stays in place while others come and go
  bool launcher_done_ GUARDED_BY(mutex_) = false;

  // The completing thread's.
  int64_t device_free_ns_ = 0;          // when the last batch ended
  std::vector<core::Status> statuses_;  // of the batch at hand; kept for their memory, like the outcomes
  std::vector<Outcome> outcomes_;

  std::thread completer_;
  std::thread launcher_;
};

}  // namespace npuserve::engine
