// The turns of all models of a server (batching/turns.h), for the threads of their schedulers.
//
// A scheduler asks while it holds its own mutex, and calls others when it has given it back: a call goes to another
// model's scheduler, which takes a mutex of its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "batching/turns.h"
#include "core/mutex.h"

namespace npuserve::engine {

class ModelTurns;

// Any thread.
class Turns {
 public:
  explicit Turns(std::vector<batching::GivenPool> pools = {}) : turns_(std::move(pools)) {}

 private:
  friend class ModelTurns;

  // Whom to call when an instance may try again; outlives the model while a call is under way.
  struct Waker {
    core::Mutex mutex;
    std::function<void(size_t instance)> wake GUARDED_BY(mutex);
  };
  struct Seated {
    std::shared_ptr<Waker> waker;
    size_t instance = 0;
  };

  void tell_whether_anybody_waits() REQUIRES_LOCK(mutex_) { anybody_waits_ = turns_.has_waiting(); }

  core::Mutex mutex_;
  batching::Turns turns_ GUARDED_BY(mutex_);
  // Written under the mutex. Whoever changes what others may do has the mutex first, and so sees here who was refused
  // before: mostly nobody, and then no request that comes or goes in one model waits for those of others.
  std::atomic<bool> anybody_waits_ = false;
  std::map<batching::Turns::Seat, Seated> seated_ GUARDED_BY(mutex_);
  uint64_t models_ GUARDED_BY(mutex_) = 0;
};

// One model's part in them, from its load to its end. Any thread.
class ModelTurns {
 public:
  // seats: one an instance; their `model` is set here. Throws std::invalid_argument if they need resources that can
  // never be had.
  ModelTurns(std::shared_ptr<Turns> turns, std::vector<batching::SeatOptions> seats);

  // REQUIRES: nothing executes. Not while the mutex is held that `wake` takes.
  ~ModelTurns();

  ModelTurns(const ModelTurns&) = delete;
  ModelTurns& operator=(const ModelTurns&) = delete;

  // wake: called, by whoever calls call_others(), when an instance that was refused may try again. Before the first
  // try_take(); null ends it, and waits for a call that is under way.
  void on_call(std::function<void(size_t instance)> wake);

  // Whether the instance may take a batch now; if so it executes from here on. Else it is called when it may.
  bool try_take(size_t instance);

  // Right after try_take() and once it is known: what the batch is predicted to cost, 0 if that is not known.
  void took(size_t instance, int64_t cost_ns);

  // Whether requests wait in the queue.
  void set_backlogged(bool backlogged);

  // An execution of the instance has ended.
  void give_back(size_t instance);

  // The instance has no batch to take. Whether that is news, and others may have to be called.
  bool withdraw(size_t instance);

  // Calls the instances, of any model, that may try again after what was done. REQUIRES: no scheduler's mutex is held.
  void call_others();

 private:
  static constexpr int64_t kMeanOf = 8;  // executions, roughly

  void leave() REQUIRES_LOCK(turns_->mutex_);

  const std::shared_ptr<Turns> turns_;
  const std::shared_ptr<Turns::Waker> waker_;
  uint64_t model_ = 0;
  std::vector<batching::Turns::Seat> seats_;
  std::vector<int64_t> started_ns_ GUARDED_BY(turns_->mutex_);  // the last execution of each, for models
  int64_t mean_cost_ns_ GUARDED_BY(turns_->mutex_) = 0;         // whose costs are not known
};

}  // namespace npuserve::engine
