#include "wire/infer_call.h"

#include <new>
#include <span>
#include <utility>

#include "wire/framing.h"
#include "wire/infer_codec.h"
#include "wire/integer_conversion.h"
#include "wire/outbox.h"
#include "wire/placed_outputs.h"

namespace npuserve::wire {

core::Status encode_framed(InferCall& call, std::span<const core::OutputView> outputs) {
  core::Status status;
  Buffer response = encode_response(call.target->model, call.id, call.wanted, outputs, status);
  if (!status.ok()) return status;
  if (call.encoding != Encoding::kIdentity) {
    response = compress_framed(std::move(response), call.encoding, call.compression_level);
  }
  call.response = std::move(response);
  return {};
}

InferCompletion::InferCompletion(std::unique_ptr<InferCall> call, Outbox& outbox)
    : call_(std::move(call)), outbox_(outbox) {}

InferCompletion::~InferCompletion() {
  if (call_) complete({core::StatusCode::kInternal, "the request was dropped without an answer"}, {});
}

core::Status InferCompletion::receive(std::span<const core::OutputView> outputs) noexcept {
  try {
    const DeclaredOutputs declared(call_->target->model, call_->wanted, outputs);
    if (!declared.status().ok()) return declared.status();
    const PlacedOutputs placed(call_->target->model, call_->destinations, declared.views());
    if (!placed.status().ok()) return placed.status();
    return call_->encode(*call_, placed.views());
  } catch (const std::bad_alloc&) {
    return {core::StatusCode::kInternal, "out of memory for the outputs"};
  }
}

void InferCompletion::complete(core::Status status, const core::Timing& timing) noexcept {
  call_->timing = timing;
  call_->status = std::move(status);
  outbox_.push(std::move(call_));
}

}  // namespace npuserve::wire
