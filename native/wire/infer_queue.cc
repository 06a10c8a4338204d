#include "wire/infer_queue.h"

#include <algorithm>
#include <utility>

namespace npuserve::wire {

InferQueue::~InferQueue() {
  gathered_.clear();
  std::vector<std::unique_ptr<InferCall>> finished;
  while (in_flight_ > 0) {
    outbox_.wait();
    take(finished);
  }
}

void InferQueue::gather(std::unique_ptr<InferCall> call, InferPlan plan, int64_t now_ns) {
  if (in_flight_ == outbox_room_) {
    outbox_.reserve(2 * outbox_room_ + 64);
    outbox_room_ = 2 * outbox_room_ + 64;
  }
  const std::shared_ptr<core::Sink> sink = call->target->sink;
  core::Request request{.token = call->token,
                        .inputs = std::move(plan.inputs),
                        .rows = plan.rows,
                        .arrival_ns = now_ns,
                        .priority = plan.priority,
                        .timeout_us = plan.timeout_us,
                        .deadline_ns = call->deadline_ns,
                        .completion = std::make_unique<InferCompletion>(std::move(call), outbox_)};
  ++in_flight_;
  auto gathered = std::ranges::find(gathered_, sink, &Gathered::sink);
  if (gathered == gathered_.end()) gathered = gathered_.insert(gathered, Gathered{sink, {}});
  gathered->requests.push_back(std::move(request));
}

void InferQueue::submit_gathered() {
  for (Gathered& gathered : gathered_) gathered.sink->submit_all(std::move(gathered.requests));
  gathered_.clear();
}

void InferQueue::cancel(const InferTarget& target, uint64_t token) {
  submit_gathered();
  target.sink->cancel(token);
}

void InferQueue::take(std::vector<std::unique_ptr<InferCall>>& finished) {
  finished.clear();
  outbox_.take(finished);
  in_flight_ -= finished.size();
}

core::Status named_failure(const InferCall& call) {
  const core::Status& status = call.status;
  const bool names_request =
      status.code() == core::StatusCode::kUnavailable &&
      (status.message().starts_with("Exceeds maximum queue size") ||
       status.message().starts_with("Server is stopping, scheduler for model has stopped accepting"));
  return names_request ? core::Status(status.code(), id_prefix(call.id) + status.message()) : status;
}

}  // namespace npuserve::wire
