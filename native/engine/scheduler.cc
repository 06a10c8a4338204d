#include "engine/scheduler.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/clock.h"

namespace npuserve::engine {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

}  // namespace

int64_t Batch::rows() const {
  int64_t rows = 0;
  for (const core::Request& request : requests) rows += request.rows;
  return rows;
}

core::Status status_of(const Refusal& refusal, const std::string& model) {
  switch (refusal.verdict) {
    case batching::Verdict::kQueueFull:
      return {core::StatusCode::kUnavailable, "Exceeds maximum queue size"};
    case batching::Verdict::kOverloaded:
      return {core::StatusCode::kUnavailable, "model '" + model + "' is overloaded: a request would wait about " +
                                                  std::to_string((refusal.wait_ns + 999'999) / 1'000'000) +
                                                  " ms, more than admission_max_wait_us allows"};
    default:
      return {core::StatusCode::kUnavailable,
              "Server is stopping, scheduler for model has stopped accepting new inference requests"};
  }
}

Scheduler::Scheduler(const batching::SchedulerOptions& options, const batching::BucketTable& buckets,
                     const std::vector<int>& devices, size_t slots_per_instance)
    : holds_latency_(options.target_p99_ns > 0), core_(options, buckets, devices, slots_per_instance) {
  const core::MutexLock lock(mutex_);
  for (size_t i = 0; i < devices.size(); ++i) {
    InstanceState& instance = instances_.emplace_back();
    for (size_t slot = 0; slot < slots_per_instance; ++slot) instance.free_slots.push_back(slot);
  }
}

Scheduler::~Scheduler() {
  if (turns_) turns_->on_call(nullptr);
}

void Scheduler::share(std::shared_ptr<ModelTurns> turns, std::function<int64_t(const Batch&)> cost_ns) {
  turns_ = std::move(turns);
  cost_ns_ = std::move(cost_ns);
  turns_->on_call([this](size_t instance) { called(instance); });
}

// --- Requests come.

Refusal Scheduler::submit(core::Request& request, batching::Arrival arrival) {
  core::ConditionVariable* sleeper = nullptr;
  {
    const core::MutexLock lock(mutex_);
    const int64_t now_ns = core::steady_now_ns();
    const Refusal refusal = queue(request, std::move(arrival), now_ns);
    if (refusal) return refusal;
    sleeper = concerned(now_ns);
    tell_expirer();
  }
  tell(sleeper);
  return {};
}

std::vector<Refusal> Scheduler::submit_all(std::vector<core::Request>& requests,
                                           std::vector<batching::Arrival>& arrivals) {
  core::ConditionVariable* sleeper = nullptr;
  std::vector<Refusal> refusals;
  {
    const core::MutexLock lock(mutex_);
    const int64_t now_ns = core::steady_now_ns();
    for (size_t i = 0; i < requests.size(); ++i) {
      const Refusal refusal = queue(requests[i], std::move(arrivals[i]), now_ns);
      if (!refusal) continue;
      if (refusals.size() != i) requests[refusals.size()] = std::move(requests[i]);
      refusals.push_back(refusal);
    }
    if (refusals.size() < requests.size()) {
      sleeper = concerned(now_ns);
      tell_expirer();
    }
    requests.resize(refusals.size());
  }
  tell(sleeper);
  return refusals;
}

Refusal Scheduler::queue(core::Request& request, batching::Arrival arrival, int64_t now_ns) {
  if (free_places_.empty()) make_room();
  const batching::Admission admission = core_.submit(std::move(arrival), now_ns);
  if (admission.verdict == batching::Verdict::kOverloaded) return {admission.verdict, admission.predicted_wait_ns};
  if (admission.verdict != batching::Verdict::kQueued) return {admission.verdict, 0};
  const uint32_t place = free_places_.back();
  free_places_.pop_back();
  tokens_.insert(request.token, place);
  places_[admission.ticket] = place;
  records_[place] = {
      .request = std::move(request), .ticket = admission.ticket, .is_queued = true, .is_given_up = false};
  if (turns_ && !std::exchange(backlogged_, true)) turns_->set_backlogged(true);
  return {};
}

// Tickets count like places: no more of them than requests that were ever queued at once.
void Scheduler::make_room() {
  const size_t count = 2 * records_.size() + 64;
  tokens_.reserve(count);
  places_.resize(count);
  free_places_.reserve(count);
  const size_t old = records_.size();
  records_.resize(count);
  for (size_t place = count; place-- > old;) free_places_.push_back(static_cast<uint32_t>(place));
}

// --- Requests go.

std::optional<core::Request> Scheduler::cancel(uint64_t token) {
  core::ConditionVariable* sleeper = nullptr;
  std::optional<core::Request> request;
  {
    const core::MutexLock lock(mutex_);
    const std::optional<uint32_t> place = tokens_.find(token);
    if (!place) return std::nullopt;
    Record& record = records_[*place];
    if (!record.is_queued) {
      record.is_given_up = true;
      return std::nullopt;
    }
    core_.cancel(record.ticket);
    request = unqueue(*place);
    // What stood behind it may be able to run now.
    sleeper = concerned();
    tell_expirer();
  }
  tell(sleeper);
  return request;
}

core::Request Scheduler::unqueue(uint32_t place) {
  core::Request request = std::move(records_[place].request);
  forget(request.token, place);
  return request;
}

void Scheduler::forget(uint64_t token, uint32_t place) {
  tokens_.erase(token, place);
  free_places_.push_back(place);
}

void Scheduler::expire(int64_t now_ns) {
  const std::optional<int64_t> next_ns = core_.next_expiry_ns();
  if (!next_ns || *next_ns > now_ns) return;
  for (const batching::Ticket ticket : core_.expire(now_ns)) expired_.push_back(unqueue(places_[ticket]));
}

std::vector<core::Request> Scheduler::next_expired() {
  core::ConditionVariable* sleeper = nullptr;
  std::vector<core::Request> expired;
  {
    const core::MutexLock lock(mutex_);
    while (true) {
      expire(core::steady_now_ns());
      if (!expired_.empty() || is_over()) break;
      expirer_wakes_at_ns_ = core_.next_expiry_ns().value_or(kNever);
      if (*expirer_wakes_at_ns_ == kNever) {
        expirer_.wait(mutex_);
      } else {
        expirer_.wait_until(mutex_, *expirer_wakes_at_ns_);
      }
      expirer_wakes_at_ns_.reset();
    }
    expired.swap(expired_);
    sleeper = concerned();
  }
  tell(sleeper);
  return expired;
}

// Wakes the expirer if there is something for it before the time that it sleeps until. What is over by then without it
// only has it look.
void Scheduler::tell_expirer() {
  if (!expirer_wakes_at_ns_) return;
  const bool is_due = !expired_.empty() || is_over();
  if (!is_due && core_.next_expiry_ns().value_or(kNever) >= *expirer_wakes_at_ns_) return;
  expirer_wakes_at_ns_.reset();
  expirer_.notify_one();
}

// --- Batches.

std::optional<Batch> Scheduler::next(size_t instance) {
  std::optional<Batch> batch;
  bool over = false;
  while (!batch && !over) {
    core::ConditionVariable* sleeper = nullptr;
    {
      const core::MutexLock lock(mutex_);
      bool is_news = false;  // for the instances of other models
      while (!(over = is_over()) && !is_news) {
        const int64_t now_ns = core::steady_now_ns();
        expire(now_ns);
        const batching::Decision decision = core_.decide(instance, now_ns);
        if (decision.take && may_take(instance)) {
          batch = take(instance, now_ns);
          break;
        }
        is_news = decision.take || release_held() || withdraw(instance);
        if (is_news) break;
        tell_expirer();
        // With time, not by an event, the turn may have become another's.
        notify(concerned());
        sleep(instance, decision.wake_at_ns);
      }
      if (over) withdraw(instance);
      sleeper = concerned();
      tell_expirer();
    }
    tell(sleeper);
  }
  return batch;
}

Batch Scheduler::take(size_t instance, int64_t now_ns) {
  batching::TakenBatch taken = core_.take(instance, now_ns);
  InstanceState& state = instances_[instance];
  Batch batch;
  batch.gear = taken.gear;
  batch.slot = state.free_slots.back();
  batch.id = ++batches_;
  state.free_slots.pop_back();
  batch.requests.reserve(taken.tickets.size());
  batch.places.reserve(taken.tickets.size());
  for (const batching::Ticket ticket : taken.tickets) {
    const uint32_t place = places_[ticket];
    records_[place].is_queued = false;
    batch.requests.push_back(std::move(records_[place].request));
    batch.places.push_back(place);
  }
  taken_ += batch.requests.size();
  if (turns_) turns_->took(instance, cost_ns_(batch));
  return batch;
}

void Scheduler::execution_ended(size_t instance, Batch& batch) {
  core::ConditionVariable* sleeper = nullptr;
  {
    const core::MutexLock lock(mutex_);
    const int64_t now_ns = core::steady_now_ns();
    core_.ended(instance, now_ns);
    if (turns_) turns_->give_back(instance);
    for (size_t i = 0; i < batch.places.size(); ++i) {
      if (records_[batch.places[i]].is_given_up) {
        batch.given_up.resize(batch.places.size());
        batch.given_up[i] = true;
      }
      forget(batch.requests[i].token, batch.places[i]);
    }
    sleeper = concerned(now_ns);
  }
  tell(sleeper);
}

void Scheduler::release_slot(size_t instance, const Batch& batch, int64_t now_ns) {
  core::ConditionVariable* sleeper = nullptr;
  {
    const core::MutexLock lock(mutex_);
    core_.release_slot(instance);
    instances_[instance].free_slots.push_back(batch.slot);
    taken_ -= batch.requests.size();
    if (holds_latency_) {
      for (const core::Request& request : batch.requests) core_.answered(now_ns - request.arrival_ns, now_ns);
    }
    sleeper = concerned(now_ns);
  }
  tell(sleeper);
}

void Scheduler::stop() {
  const core::MutexLock lock(mutex_);
  core_.stop();
  for (InstanceState& instance : instances_) {
    instance.waiting = false;
    instance.changed.notify_one();
  }
  tell_expirer();
}

bool Scheduler::is_over() const { return core_.stopping() && core_.queued() == 0; }

size_t Scheduler::pending() const {
  const core::MutexLock lock(mutex_);
  return core_.queued() + expired_.size() + taken_;
}

Backlog Scheduler::backlog() const {
  const core::MutexLock lock(mutex_);
  return {.queued = core_.queued(),
          .predicted_wait_ns = core_.predicted_wait_ns(core::steady_now_ns()),
          .queue_delay_ns = core_.queue_delay_ns()};
}

// --- Turns with other models.

// An instance that has to wait for its turn is held: what it could have had others may have.
bool Scheduler::may_take(size_t instance) {
  if (!turns_ || turns_->try_take(instance)) return true;
  hold(instance, true);
  return false;
}

// Not for want of a slot: it will ask when it has one, and its turn is kept.
bool Scheduler::withdraw(size_t instance) {
  if (!turns_ || instances_[instance].held) return false;
  if (core_.queued() > 0 && !core_.has_free_slot(instance)) return false;
  return turns_->withdraw(instance);
}

void Scheduler::hold(size_t instance, bool held) {
  instances_[instance].held = held;
  core_.set_held(instance, held);
}

// Nobody waits for a turn without a request. Whether somebody did.
bool Scheduler::release_held() {
  bool found = false;
  if (!turns_ || core_.queued() > 0) return found;
  if (std::exchange(backlogged_, false)) {
    turns_->set_backlogged(false);
    found = true;
  }
  for (size_t i = 0; i < instances_.size(); ++i) {
    if (!instances_[i].held) continue;
    hold(i, false);
    withdraw(i);
    found = true;
  }
  return found;
}

// By another model's thread, or one of this.
void Scheduler::called(size_t instance) {
  const core::MutexLock lock(mutex_);
  if (!instances_[instance].held) return;
  hold(instance, false);
  notify(wake(instances_[instance]));
}

// --- Who sleeps, and who is woken.

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
// known_now_ns: the time, where the caller has just read it.
core::ConditionVariable* Scheduler::concerned(std::optional<int64_t> known_now_ns) {
  release_held();
  if (is_over()) {
    const auto sleeping = std::ranges::find(instances_, true, &InstanceState::waiting);
    return sleeping == instances_.end() ? nullptr : wake(*sleeping);
  }
  if (core_.queued() == 0) return nullptr;
  const int64_t now_ns = known_now_ns ? *known_now_ns : core::steady_now_ns();
  const std::optional<size_t> next = core_.next_instance(now_ns);
  if (!next || !instances_[*next].waiting) return nullptr;
  InstanceState& instance = instances_[*next];
  const batching::Decision decision = core_.decide(*next, now_ns);
  if (decision == batching::Decision{}) return nullptr;
  const bool in_time = decision.wake_at_ns && instance.wake_at_ns && *instance.wake_at_ns <= *decision.wake_at_ns;
  return in_time ? nullptr : wake(instance);
}

core::ConditionVariable* Scheduler::wake(InstanceState& instance) {
  instance.waiting = false;
  return &instance.changed;
}

void Scheduler::notify(core::ConditionVariable* sleeper) {
  if (sleeper != nullptr) sleeper->notify_one();
}

// Without the mutex, which the woken thread takes at once; and another model's thread, to call one of this, while it
// holds up none.
void Scheduler::tell(core::ConditionVariable* sleeper) {
  notify(sleeper);
  if (turns_) turns_->call_others();
}

}  // namespace npuserve::engine
