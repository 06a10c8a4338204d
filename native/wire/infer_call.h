// One ModelInfer on its way through a sink: what it lends, and what it brings back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/completion.h"
#include "core/sink.h"
#include "core/status.h"
#include "wire/compression.h"
#include "wire/event.h"
#include "wire/model_interface.h"
#include "wire/shared_regions.h"

namespace npuserve::wire {

// A model version that ModelInfer reaches: what requests may name of it, and where they go.
struct InferTarget {
  ModelInterface model;
  std::shared_ptr<core::Sink> sink;
};

struct InferCall;

// Puts the outputs into the call's response, framed for gRPC. Throws std::bad_alloc.
core::Status encode_framed(InferCall& call, std::span<const core::OutputView> outputs);

// Written by the loop until it is submitted, by the engine until it is in the outbox, then by the loop again.
struct InferCall {
  uint64_t token = 0;
  std::shared_ptr<const InferTarget> target;
  Message message;                // the request, which the inputs are views of
  std::vector<Buffer> converted;  // inputs that came as typed contents, and their part of the budget
  Reservation converted_room;
  std::string_view id;       // within the message
  std::vector<bool> wanted;  // see InferPlan, as for these two
  std::vector<std::span<std::byte>> destinations;
  std::vector<std::shared_ptr<const SharedRegion>> regions;
  int64_t started_ns = 0;    // when the message was there whole
  int64_t deadline_ns = 0;   // the client's; 0: none
  std::string trace_parent;  // the client's header; empty unless requests are observed
  bool mirrored = false;     // a shadow is to be told of it
  Encoding encoding = Encoding::kIdentity;
  int compression_level = 0;
  // How the answer is encoded, on the engine's thread. A failure becomes the status.
  core::Status (*encode)(InferCall& call, std::span<const core::OutputView> outputs) = encode_framed;

  core::Status status;
  core::Timing timing;
  Buffer response;        // as `encode` made it, if the status is OK
  size_t json_bytes = 0;  // HTTP's: of the response, those before the binary data
};

class Outbox;

// Encodes the response on the engine's thread, then hands the call back. One that is destroyed without an answer
// answers INTERNAL: a call is never lost.
class InferCompletion final : public core::Completion {
 public:
  // The outbox must outlive it.
  InferCompletion(std::unique_ptr<InferCall> call, Outbox& outbox);
  ~InferCompletion() override;
  InferCompletion(const InferCompletion&) = delete;
  InferCompletion& operator=(const InferCompletion&) = delete;

  core::Status receive(std::span<const core::OutputView> outputs) noexcept override;
  void complete(core::Status status, const core::Timing& timing) noexcept override;

 private:
  std::unique_ptr<InferCall> call_;
  Outbox& outbox_;
};

}  // namespace npuserve::wire
