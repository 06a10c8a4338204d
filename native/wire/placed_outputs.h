// Outputs that a request wants in shared memory: what npuserve.service.outputs does with destinations.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/status.h"
#include "core/tensor_view.h"
#include "wire/model_interface.h"

namespace npuserve::wire {

// Writes outputs to their destinations, if there is room for all of them.
class PlacedOutputs {
 public:
  // destinations: as in InferPlan. Too little room is INTERNAL (`status`): then nothing was written, and the views are
  // of no use. `outputs` must outlive this. Throws std::bad_alloc.
  PlacedOutputs(const ModelInterface& model, std::span<const std::span<std::byte>> destinations,
                std::span<const core::OutputView> outputs);

  const core::Status& status() const { return status_; }

  // As given, but what was written to its destination has no bytes any more, only its shape.
  std::span<const core::OutputView> views() const { return views_; }

 private:
  core::Status status_;
  std::span<const core::OutputView> views_;
  std::vector<core::OutputView> placed_;
};

}  // namespace npuserve::wire
