#include "wire/observation.h"

#include <utility>

namespace npuserve::wire {

void Observation::ask_for(bool all, int64_t slow_ns) {
  all_ = all;
  slow_ns_ = slow_ns;
}

void Observation::note(const InferCall& finished, const core::Status& status, int64_t now_ns) {
  observed_.push_back({.model = finished.target->model.name,
                       .version = finished.target->model.version,
                       .id = std::string(finished.id),
                       .status = status,
                       .started_ns = finished.started_ns,
                       .ended_ns = now_ns,
                       .timing = finished.timing,
                       .trace_parent = finished.trace_parent});
}

void Observation::note_refusal(const ModelInterface& model, std::string_view id, const core::Status& refusal,
                               int64_t now_ns, std::string trace_parent) {
  observed_.push_back({.model = model.name,
                       .version = model.version,
                       .id = std::string(id),
                       .status = refusal,
                       .started_ns = now_ns,
                       .ended_ns = now_ns,
                       .timing = {},
                       .trace_parent = std::move(trace_parent)});
}

bool Observation::next(ObservedRequest& request) {
  if (observed_.empty()) return false;
  request = std::move(observed_.front());
  observed_.pop_front();
  return true;
}

}  // namespace npuserve::wire
