// Inference requests of one front end on their way to their sinks and back.
//
// One thread, the loop's; the engine's threads meet it in the outbox. What was received in a round of the loop is
// gathered and goes to its sinks in one piece, so that they wake once for all of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/request.h"
#include "core/sink.h"
#include "core/status.h"
#include "wire/infer_call.h"
#include "wire/infer_codec.h"
#include "wire/outbox.h"

namespace npuserve::wire {

class InferQueue {
 public:
  // Throws std::system_error.
  InferQueue() = default;

  // Blocks until every request has completed.
  ~InferQueue();
  InferQueue(const InferQueue&) = delete;
  InferQueue& operator=(const InferQueue&) = delete;

  // Readable while there is something to take.
  int file_descriptor() const { return outbox_.file_descriptor(); }

  // Gathers a request: from here on its completion comes, whatever happens. REQUIRES: plan.verdict is kReady; the
  // call's token and target are set. Throws std::bad_alloc.
  void gather(std::unique_ptr<InferCall> call, InferPlan plan, int64_t now_ns);

  bool has_gathered() const { return !gathered_.empty(); }
  void submit_gathered();

  // Drops the request if it has not begun to execute: its completion is CANCELLED.
  void cancel(const InferTarget& target, uint64_t token);

  // Swaps what has completed into `finished`, oldest first; what was there is dropped.
  void take(std::vector<std::unique_ptr<InferCall>>& finished);

 private:
  struct Gathered {
    std::shared_ptr<core::Sink> sink;
    std::vector<core::Request> requests;
  };

  Outbox outbox_;
  size_t outbox_room_ = 0;
  size_t in_flight_ = 0;  // gathered or submitted, and not taken
  std::vector<Gathered> gathered_;
};

// What the client of a failed request is told: the refusals of a model's queue name the request, which the queue does
// not know.
core::Status named_failure(const InferCall& call);

}  // namespace npuserve::wire
