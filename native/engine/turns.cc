#include "engine/turns.h"

#include <utility>

#include "core/clock.h"

namespace npuserve::engine {

ModelTurns::ModelTurns(std::shared_ptr<Turns> turns, std::vector<batching::SeatOptions> seats)
    : turns_(std::move(turns)), waker_(std::make_shared<Turns::Waker>()), started_ns_(seats.size()) {
  const core::MutexLock lock(turns_->mutex_);
  model_ = ++turns_->models_;
  try {
    for (batching::SeatOptions& options : seats) {
      options.model = model_;
      seats_.push_back(turns_->turns_.add(std::move(options)));
      turns_->seated_[seats_.back()] = {waker_, seats_.size() - 1};
    }
  } catch (...) {
    leave();
    throw;
  }
}

ModelTurns::~ModelTurns() {
  on_call(nullptr);
  {
    const core::MutexLock lock(turns_->mutex_);
    leave();
  }
  call_others();
}

void ModelTurns::leave() {
  for (const batching::Turns::Seat seat : seats_) {
    turns_->seated_.erase(seat);
    turns_->turns_.remove(seat);
  }
  turns_->tell_whether_anybody_waits();
}

void ModelTurns::on_call(std::function<void(size_t instance)> wake) {
  const core::MutexLock lock(waker_->mutex);
  waker_->wake = std::move(wake);
}

bool ModelTurns::try_take(size_t instance) {
  const core::MutexLock lock(turns_->mutex_);
  const bool may_go = turns_->turns_.take(seats_[instance]);
  turns_->tell_whether_anybody_waits();
  return may_go;
}

void ModelTurns::took(size_t instance, int64_t cost_ns) {
  const int64_t now_ns = core::steady_now_ns();
  const core::MutexLock lock(turns_->mutex_);
  started_ns_[instance] = now_ns;
  turns_->turns_.charge(seats_[instance], cost_ns > 0 ? cost_ns : mean_cost_ns_);
}

void ModelTurns::set_backlogged(bool backlogged) {
  const core::MutexLock lock(turns_->mutex_);
  turns_->turns_.set_backlogged(model_, backlogged);
}

void ModelTurns::give_back(size_t instance) {
  const int64_t now_ns = core::steady_now_ns();
  const core::MutexLock lock(turns_->mutex_);
  // Of two executions in a row the second began when the first ended.
  const int64_t cost_ns = now_ns - started_ns_[instance];
  started_ns_[instance] = now_ns;
  mean_cost_ns_ += mean_cost_ns_ == 0 ? cost_ns : (cost_ns - mean_cost_ns_) / kMeanOf;
  turns_->turns_.give_back(seats_[instance]);
}

bool ModelTurns::withdraw(size_t instance) {
  const core::MutexLock lock(turns_->mutex_);
  const bool is_news = turns_->turns_.withdraw(seats_[instance]);
  turns_->tell_whether_anybody_waits();
  return is_news;
}

void ModelTurns::call_others() {
  if (!turns_->anybody_waits_) return;
  std::vector<Turns::Seated> called;
  {
    const core::MutexLock lock(turns_->mutex_);
    for (const batching::Turns::Seat seat : turns_->turns_.called()) called.push_back(turns_->seated_.at(seat));
  }
  for (const Turns::Seated& seated : called) {
    const core::MutexLock lock(seated.waker->mutex);
    if (seated.waker->wake) seated.waker->wake(seated.instance);
  }
}

}  // namespace npuserve::engine
