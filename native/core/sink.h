// Where a decoded request goes: what a front end sees of the engine.
#pragma once

#include <cstdint>
#include <vector>

#include "core/request.h"

namespace npuserve::core {

// The name of a capsule that hands a sink from one extension module to another: its pointer is a
// std::shared_ptr<core::Sink>*, which is the capsule's until that is destroyed.
inline constexpr char kSinkCapsule[] = "npuserve.core.Sink";

class Sink {
 public:
  virtual ~Sink() = default;

  // Accepts the request and answers it once through its completion, possibly before returning. Never blocks; any
  // thread. Throws std::invalid_argument, and then does not answer, if a count, shape or size does not fit the model.
  virtual void submit(Request request) = 0;

  // As submit() for each in turn, waking the engine once for all of them; one that does not fit the model is answered
  // INTERNAL with the reason, and the others go on. Throws std::bad_alloc, and then some of the completions may be
  // destroyed without an answer.
  virtual void submit_all(std::vector<Request> requests) = 0;

  // Drops the request if it is still queued: its completion is CANCELLED. False if it is not. Any thread.
  virtual bool cancel(uint64_t token) = 0;
};

}  // namespace npuserve::core
