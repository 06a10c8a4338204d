// The one answer that a request gets, in two steps: its outputs while the slot still holds them, then the end.
#pragma once

#include <span>

#include "core/status.h"
#include "core/tensor_view.h"
#include "core/timing.h"

namespace npuserve::core {

// Implemented by whoever sends requests. Called by the engine, from any of its threads, holding none of its locks.
class Completion {
 public:
  virtual ~Completion() = default;

  // Takes the outputs, in the signature's order; the views are valid during the call only. Called at most once, before
  // `complete`, if the execution succeeded. A failure becomes the status of the answer. Must not block.
  virtual Status receive(std::span<const OutputView> outputs) noexcept = 0;

  // The answer is final and the statistics count it; the lent inputs are free again. Called exactly once. Must not
  // block. timing: of the execution, if there was one.
  virtual void complete(Status status, const Timing& timing) noexcept = 0;
};

}  // namespace npuserve::core
