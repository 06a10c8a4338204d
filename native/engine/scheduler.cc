#include "engine/scheduler.h"

#include <utility>

#include "core/clock.h"

namespace npuserve::engine {

int64_t Batch::rows() const {
  int64_t rows = 0;
  for (const core::Request& request : requests) rows += request.rows;
  return rows;
}

Scheduler::Scheduler(batching::PolicyOptions options, size_t instances, size_t slots_per_instance)
    : options_(std::move(options)) {
  const core::MutexLock lock(mutex_);
  for (size_t i = 0; i < instances; ++i) {
    InstanceState& instance = instances_.emplace_back();
    for (size_t slot = 0; slot < slots_per_instance; ++slot) instance.free_slots.push_back(slot);
  }
}

core::Status status_of(Refusal refusal) {
  if (refusal == Refusal::kQueueFull) return {core::StatusCode::kUnavailable, "Exceeds maximum queue size"};
  return {core::StatusCode::kUnavailable,
          "Server is stopping, scheduler for model has stopped accepting new inference requests"};
}

Refusal Scheduler::submit(core::Request& request, batching::Waiting waiting) {
  core::ConditionVariable* sleeper = nullptr;
  {
    const core::MutexLock lock(mutex_);
    const Refusal refused = refusal();
    if (refused != Refusal::kNone) return refused;
    queue_.push(std::move(request), std::move(waiting));
    sleeper = concerned();
  }
  notify(sleeper);
  return Refusal::kNone;
}

Refusal Scheduler::submit_all(std::vector<core::Request>& requests, std::vector<batching::Waiting>& waiting) {
  core::ConditionVariable* sleeper = nullptr;
  Refusal refused = Refusal::kNone;
  {
    const core::MutexLock lock(mutex_);
    size_t queued = 0;
    while (queued < requests.size() && (refused = refusal()) == Refusal::kNone) {
      queue_.push(std::move(requests[queued]), std::move(waiting[queued]));
      ++queued;
    }
    requests.erase(requests.begin(), requests.begin() + static_cast<std::ptrdiff_t>(queued));
    if (queued > 0) sleeper = concerned();
  }
  notify(sleeper);
  return refused;
}

// Why nothing can be queued now.
Refusal Scheduler::refusal() const {
  if (stopping_) return Refusal::kStopping;
  return batching::queue_is_full(options_, queue_.size()) ? Refusal::kQueueFull : Refusal::kNone;
}

std::optional<core::Request> Scheduler::cancel(uint64_t token) {
  core::ConditionVariable* sleeper = nullptr;
  std::optional<core::Request> request;
  {
    const core::MutexLock lock(mutex_);
    request = queue_.remove(token);
    // What stood behind it may be able to run now.
    if (request) sleeper = concerned();
  }
  notify(sleeper);
  return request;
}

std::optional<Batch> Scheduler::next(size_t instance) {
  core::ConditionVariable* sleeper = nullptr;
  std::optional<Batch> batch;
  {
    const core::MutexLock lock(mutex_);
    while (!(stopping_ && queue_.empty())) {
      batching::Plan plan;
      if (!instances_[instance].free_slots.empty()) plan = plan_for(instance);
      if (plan.take > 0) {
        batch = take(instance, plan.take);
        break;
      }
      sleep(instance, plan.wake_at_ns);
    }
    sleeper = concerned();
  }
  notify(sleeper);
  return batch;
}

void Scheduler::execution_ended(size_t instance) {
  core::ConditionVariable* sleeper = nullptr;
  {
    const core::MutexLock lock(mutex_);
    --instances_[instance].executing;
    sleeper = concerned();
  }
  notify(sleeper);
}

void Scheduler::release_slot(size_t instance, size_t slot, size_t answered) {
  core::ConditionVariable* sleeper = nullptr;
  {
    const core::MutexLock lock(mutex_);
    instances_[instance].free_slots.push_back(slot);
    taken_ -= answered;
    sleeper = concerned();
  }
  notify(sleeper);
}

void Scheduler::stop() {
  const core::MutexLock lock(mutex_);
  stopping_ = true;
  for (InstanceState& instance : instances_) {
    instance.waiting = false;
    instance.changed.notify_one();
  }
}

size_t Scheduler::pending() const {
  const core::MutexLock lock(mutex_);
  return queue_.size() + taken_;
}

size_t Scheduler::queued() const {
  const core::MutexLock lock(mutex_);
  return queue_.size();
}

batching::Plan Scheduler::plan_for(size_t instance) const {
  bool idle_elsewhere = false;
  for (size_t i = 0; i < instances_.size(); ++i) idle_elsewhere |= i != instance && instances_[i].is_idle();
  return batching::decide(options_, {.now_ns = core::steady_now_ns(),
                                     .queue = queue_.waiting(),
                                     .executing = instances_[instance].executing,
                                     .idle_elsewhere = idle_elsewhere,
                                     .stopping = stopping_});
}

Batch Scheduler::take(size_t instance, size_t count) {
  InstanceState& state = instances_[instance];
  Batch batch{.requests = queue_.take(count), .slot = state.free_slots.back(), .id = ++batches_};
  state.free_slots.pop_back();
  ++state.executing;
  taken_ += count;
  return batch;
}

void Scheduler::sleep(size_t instance, std::optional<int64_t> wake_at_ns) {
  InstanceState& state = instances_[instance];
  state.waiting = true;
  state.wake_at_ns = wake_at_ns;
  if (wake_at_ns) {
    state.changed.wait_until(mutex_, *wake_at_ns);
  } else {
    state.changed.wait(mutex_);
  }
  state.waiting = false;
}

// The one sleeper that has to ask again, if any: it then asks on behalf of the others, as whoever takes a batch does.
core::ConditionVariable* Scheduler::concerned() {
  for (size_t i = 0; i < instances_.size(); ++i) {
    InstanceState& instance = instances_[i];
    if (!instance.waiting) continue;
    const bool over = stopping_ && queue_.empty();
    batching::Plan plan;
    if (!over && !instance.free_slots.empty()) plan = plan_for(i);
    if (!over && plan == batching::Plan{}) continue;
    // Idle instances wait for the same instant: that one of them wakes then is enough.
    const bool in_time = plan.wake_at_ns && instance.wake_at_ns && *instance.wake_at_ns <= *plan.wake_at_ns;
    if (in_time) return nullptr;
    instance.waiting = false;
    return &instance.changed;
  }
  return nullptr;
}

// Without the mutex, which the woken thread takes at once.
void Scheduler::notify(core::ConditionVariable* sleeper) {
  if (sleeper != nullptr) sleeper->notify_one();
}

}  // namespace npuserve::engine
