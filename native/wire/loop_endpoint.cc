#include "wire/loop_endpoint.h"

#include <utility>

#include "core/status.h"
#include "wire/event.h"
#include "wire/limits.h"

namespace npuserve::wire {

LoopEndpoint::LoopEndpoint(size_t budget_bytes, size_t small_bytes, size_t max_waiting)
    : budget_(budget_bytes, max_waiting,
              {.largest_bytes = kStreamWindowBytes + kMessageOverheadBytes, .limit_bytes = small_bytes}) {}

void LoopEndpoint::deliver(int64_t now_ns) {
  queue_.take(finished_);
  for (const std::unique_ptr<InferCall>& call : finished_) {
    if (call->status.code() == core::StatusCode::kInternal) {
      failures_.push_back({call->target->model.name, call->status.message()});
    }
    answer(*call, now_ns);
  }
  finished_.clear();
}

bool LoopEndpoint::next_failure(Failure& failure) {
  if (failures_.empty()) return false;
  failure = std::move(failures_.front());
  failures_.pop_front();
  return true;
}

std::unique_ptr<InferCall> LoopEndpoint::make_call(uint64_t token, std::shared_ptr<const InferTarget> target,
                                                   Message message, InferPlan& plan, int64_t now_ns) {
  auto call = std::make_unique<InferCall>();
  size_t converted_bytes = 0;
  for (const Buffer& converted : plan.converted) converted_bytes += converted.capacity();
  call->token = token;
  call->target = std::move(target);
  call->message = std::move(message);
  call->converted = std::move(plan.converted);
  call->converted_room = budget_.charge(converted_bytes);
  call->id = request_.id;
  call->wanted = std::move(plan.wanted);
  call->destinations = std::move(plan.destinations);
  call->regions = std::move(plan.regions);
  call->started_ns = now_ns;
  return call;
}

core::Status LoopEndpoint::observed(const InferCall& finished, int64_t now_ns) {
  core::Status status = named_failure(finished);
  if (observation_.wants(now_ns - finished.started_ns)) observation_.note(finished, status, now_ns);
  return status;
}

}  // namespace npuserve::wire
