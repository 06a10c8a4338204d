// What is told of the requests that a front end answered: to request logs and traces, when anybody asks.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "core/status.h"
#include "core/timing.h"
#include "wire/infer_call.h"
#include "wire/model_interface.h"

namespace npuserve::wire {

// One request that has its answer.
struct ObservedRequest {
  std::string model;
  std::string version;
  std::string id;
  core::Status status;
  int64_t started_ns = 0;  // when it was there whole
  int64_t ended_ns = 0;    // when its answer was made
  core::Timing timing;
  std::string trace_parent;  // the client's header `traceparent`; empty if there was none
};

// One thread, the loop's. While nobody asks it costs a comparison a request.
class Observation {
 public:
  // Whether every request is told of, and from which duration on each is; 0: none for its slowness alone.
  void ask_for(bool all, int64_t slow_ns);

  bool is_asked() const { return all_ || slow_ns_ > 0; }
  bool wants(int64_t duration_ns) const { return all_ || (slow_ns_ > 0 && duration_ns > slow_ns_); }

  // status: as the client hears it.
  void note(const InferCall& finished, const core::Status& status, int64_t now_ns);
  // A request that was refused before it reached its model.
  void note_refusal(const ModelInterface& model, std::string_view id, const core::Status& refusal, int64_t now_ns,
                    std::string trace_parent);

  bool empty() const { return observed_.empty(); }

  // Takes the oldest. False if there is none.
  bool next(ObservedRequest& request);

 private:
  bool all_ = false;
  int64_t slow_ns_ = 0;
  std::deque<ObservedRequest> observed_;
};

}  // namespace npuserve::wire
