#include "wire/placed_outputs.h"

#include <string>

namespace npuserve::wire {
namespace {

bool has_room(std::span<std::byte> destination, const core::OutputView& output) {
  return destination.empty() || destination.size() >= output.size_bytes();
}

core::Status too_little_room(const DeclaredTensor& declared, size_t room, size_t needed) {
  return {core::StatusCode::kInternal, "shared memory size specified with the request for output '" + declared.name +
                                           "' (" + std::to_string(room) + " bytes) should be at least " +
                                           std::to_string(needed) + " bytes to hold the results"};
}

}  // namespace

PlacedOutputs::PlacedOutputs(const ModelInterface& model, std::span<const std::span<std::byte>> destinations,
                             std::span<const core::OutputView> outputs)
    : views_(outputs) {
  if (destinations.empty()) return;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (has_room(destinations[i], outputs[i])) continue;
    status_ = too_little_room(model.outputs[i], destinations[i].size(), outputs[i].size_bytes());
    return;
  }
  placed_.assign(outputs.begin(), outputs.end());
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (destinations[i].empty()) continue;
    outputs[i].copy_to(destinations[i].data());
    placed_[i] = core::OutputView(nullptr, 0, outputs[i].shape(), outputs[i].shape());
  }
  views_ = placed_;
}

}  // namespace npuserve::wire
