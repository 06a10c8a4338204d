#include "wire/infer_call.h"

#include <new>
#include <span>
#include <utility>

#include "wire/framing.h"
#include "wire/infer_codec.h"
#include "wire/outbox.h"

namespace npuserve::wire {

InferCompletion::InferCompletion(std::unique_ptr<InferCall> call, Outbox& outbox)
    : call_(std::move(call)), outbox_(outbox) {}

InferCompletion::~InferCompletion() {
  if (call_) complete({core::StatusCode::kInternal, "the request was dropped without an answer"}, {});
}

core::Status InferCompletion::receive(std::span<const core::OutputView> outputs) noexcept {
  try {
    core::Status status;
    Buffer response = encode_response(call_->target->model, call_->id, call_->wanted, outputs, status);
    if (!status.ok()) return status;
    if (call_->encoding != Encoding::kIdentity) {
      response = compress_framed(std::move(response), call_->encoding, call_->compression_level);
    }
    call_->response = std::move(response);
    return {};
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
