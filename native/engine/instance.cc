#include "engine/instance.h"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"

namespace npuserve::engine {

Instance::Instance(size_t index, std::unique_ptr<Executor> executor, const Layout& layout,
                   const batching::GearTable& gears, Scheduler& scheduler, StatisticsShard& statistics,
                   AnswerOrder* order)
    : index_(index),
      executor_(std::move(executor)),
      layout_(layout),
      gears_(gears),
      scheduler_(scheduler),
      statistics_(statistics),
      order_(order) {
  if (!executor_->is_synchronous()) completer_ = std::thread([this] { complete_batches(); });
  try {
    launcher_ = std::thread([this] { launch_batches(); });
  } catch (...) {
    end_completer();
    throw;
  }
}

Instance::~Instance() {
  launcher_.join();
  end_completer();
}

void Instance::end_completer() {
  {
    const core::MutexLock lock(mutex_);
    launcher_done_ = true;
  }
  changed_.notify_all();
  if (completer_.joinable()) completer_.join();
}

void Instance::launch_batches() noexcept {
  const core::Status attached = executor_->attach();
  while (std::optional<Batch> batch = scheduler_.next(index_)) {
    const Flight& flight = launch(std::move(*batch), attached);
    if (executor_->is_synchronous()) complete_oldest(flight, attached);
  }
}

// The flight is in the list before anything is enqueued: a failure that the completer sees meanwhile may be its.
const Instance::Flight& Instance::launch(Batch batch, const core::Status& attached) {
  Flight* flight = nullptr;
  {
    const core::MutexLock lock(mutex_);
    flight = &in_flight_.emplace_back();
  }
  flight->batch = std::move(batch);
  flight->timing.start_ns = core::steady_now_ns();
  const core::Status status = attached.ok() ? enqueue(*flight) : attached;
  // A synchronous launch is the execution itself.
  if (!executor_->is_synchronous()) flight->timing.launched_ns = core::steady_now_ns();
  {
    const core::MutexLock lock(mutex_);
    if (flight->status.ok()) flight->status = status;
    flight->launched = true;
  }
  changed_.notify_all();
  return *flight;
}

core::Status Instance::enqueue(Flight& flight) {
  const std::vector<core::Request>& requests = flight.batch.requests;
  std::optional<size_t> gear = flight.batch.gear;
  if (!gear) gear = gears_.choose(flight.batch.rows(), requests.front().inputs);
  if (!gear) return {core::StatusCode::kInternal, gears_.refusal(flight.batch.rows(), requests.front().inputs)};
  flight.gear = *gear;
  if (!executor_->is_transparent()) provide_inputs(flight);
  flight.timing.gathered_ns = flight.timing.launched_ns = core::steady_now_ns();
  if (executor_->is_transparent()) return {};
  return executor_->launch(flight.batch.slot, *gear);
}

// A lone request whose input is the gear's may lend it to the device; all others are gathered in the slot.
void Instance::provide_inputs(Flight& flight) {
  const std::vector<core::Request>& requests = flight.batch.requests;
  const SlotBuffers& buffers = executor_->buffers(flight.batch.slot);
  for (size_t i = 0; i < buffers.inputs.size(); ++i) {
    if (requests.size() == 1 && layout_.fills(i, requests.front(), flight.gear)) {
      const core::TensorView& given = requests.front().inputs[i];
      core::Loan loan = executor_->borrow_input(flight.batch.slot, i, {given.data, given.size_bytes});
      if (loan) {
        flight.loans.push_back(std::move(loan));
        continue;
      }
    }
    layout_.gather(i, requests, flight.gear, buffers.inputs[i].data());
  }
}

void Instance::complete_batches() noexcept {
  const core::Status attached = executor_->attach();
  while (const Flight* oldest = oldest_launched()) complete_oldest(*oldest, attached);
}

void Instance::complete_oldest(const Flight& oldest, const core::Status& attached) {
  const core::Status status = attached.ok() ? await(oldest) : attached;
  if (!status.ok()) fail_all_in_flight(status);
  Flight flight = remove_oldest();
  scheduler_.execution_ended(index_, flight.batch);
  finish(std::move(flight));
}

Instance::Flight* Instance::oldest_launched() {
  const core::MutexLock lock(mutex_);
  while (in_flight_.empty() || !in_flight_.front().launched) {
    if (in_flight_.empty() && launcher_done_) return nullptr;
    changed_.wait(mutex_);
  }
  return &in_flight_.front();
}

// After any failure the stream is drained, so that nothing still writes into the slot when it is filled again.
core::Status Instance::await(const Flight& flight) {
  bool failed = false;
  {
    const core::MutexLock lock(mutex_);
    failed = !flight.status.ok();
  }
  core::Status waited;
  if (!failed) waited = executor_->wait(flight.batch.slot);
  if (!failed && waited.ok()) return {};
  const core::Status settled = executor_->settle();
  return waited.ok() ? settled : waited;
}

// The driver reports a failure to whoever waits next and only once: every batch that was enqueued by now may be the
// one.
void Instance::fail_all_in_flight(const core::Status& status) {
  const core::MutexLock lock(mutex_);
  for (Flight& flight : in_flight_) {
    if (flight.status.ok()) flight.status = status;
  }
}

Instance::Flight Instance::remove_oldest() {
  const core::MutexLock lock(mutex_);
  Flight flight = std::move(in_flight_.front());
  in_flight_.pop_front();
  return flight;
}

void Instance::finish(Flight flight) {
  flight.loans.clear();
  BatchTiming& timing = flight.timing;
  timing.ended_ns = core::steady_now_ns();
  timing.device_ns = std::max(timing.launched_ns, std::min(device_free_ns_, timing.ended_ns));
  device_free_ns_ = timing.ended_ns;

  std::vector<core::Request>& requests = flight.batch.requests;
  statuses_.assign(requests.size(), flight.status);
  outcomes_.clear();
  int64_t row = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (flight.status.ok()) statuses_[i] = deliver(flight, requests[i], row);
    outcomes_.push_back(outcome_of(flight, i, statuses_[i].ok()));
    row += requests[i].rows;
  }
  timing.answered_ns = core::steady_now_ns();

  // All counts are right before the first sender can look.
  if (flight.status.ok()) {
    statistics_.record_execution(timing, ran(flight.gear), outcomes_);
  } else {
    statistics_.record_failure(outcomes_, FailureReason::kBackend, timing.answered_ns);
  }
  const core::Timing told = timing_of(flight);
  scheduler_.release_slot(index_, flight.batch, timing.answered_ns);
  send(flight.batch.id, {.requests = std::move(requests), .statuses = std::move(statuses_), .timing = told});
}

void Instance::send(uint64_t batch, Answers answers) {
  if (order_ != nullptr) return order_->send(batch, std::move(answers));
  answers.send();
  statuses_ = std::move(answers.statuses);
}

RunGear Instance::ran(size_t gear) const {
  return {.number = gear, .rows = layout_.rows_of(gear), .length = layout_.length_of(gear)};
}

// Who gave up after the deadline had passed did so for that.
Outcome Instance::outcome_of(const Flight& flight, size_t request, bool ok) const {
  const core::Request& answered = flight.batch.requests[request];
  const bool is_expired = answered.deadline_ns > 0 && flight.timing.ended_ns >= answered.deadline_ns;
  const bool is_given_up = !flight.batch.given_up.empty() && flight.batch.given_up[request];
  return {.arrival_ns = answered.arrival_ns,
          .rows = answered.rows,
          .ok = ok,
          .length = layout_.length_of(answered),
          .use = is_expired    ? Use::kNobodyExpired
                 : is_given_up ? Use::kNobodyCancelled
                               : Use::kSender};
}

core::Status Instance::deliver(const Flight& flight, const core::Request& request, int64_t first_row) const {
  if (executor_->is_transparent()) return layout_.return_inputs(request);
  return layout_.deliver(request, first_row, flight.gear, executor_->buffers(flight.batch.slot));
}

// Without the arrival, which is each request's own.
core::Timing Instance::timing_of(const Flight& flight) const {
  const BatchTiming& timing = flight.timing;
  std::optional<StagesBeforeEnd> before;
  if (flight.status.ok()) before = executor_->stages_before_end(flight.batch.slot);
  // A batch that failed before its inputs were gathered has no instant of that.
  const int64_t gathered_ns = std::max(timing.start_ns, timing.gathered_ns);
  // The device's clock is not the host's, so the order is seen to.
  const auto instant = [&](int64_t before_ns) { return std::max(gathered_ns, timing.ended_ns - before_ns); };
  return {.batch_id = flight.batch.id,
          .gear = flight.gear,
          .batch_rows = flight.batch.rows(),
          .arrival_ns = 0,
          .start_ns = timing.start_ns,
          .gathered_ns = gathered_ns,
          .h2d_end_ns = before ? instant(before->h2d_end_ns) : 0,
          .execute_end_ns = before ? instant(before->execute_end_ns) : 0,
          .d2h_end_ns = timing.ended_ns,
          .scattered_ns = timing.answered_ns};
}

}  // namespace npuserve::engine
