// From a ModelInferRequest to what a sink takes, and from what it gives to a ModelInferResponse.
//
// The same checks in the same order, with the same sentences, as the Python handlers make (npuserve.service.validate,
// .parameters, .decode, .encode): a test sends both the same requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "core/tensor_view.h"
#include "wire/buffer.h"
#include "wire/infer_request.h"
#include "wire/model_interface.h"
#include "wire/shared_regions.h"

namespace npuserve::wire {

enum class Verdict {
  kReady,    // submit it
  kRefused,  // answer with `refusal`
  kHandOn,   // it asks for what the handlers alone know: classification, typed responses, halves that come as FP32,
             // shared memory that is not there or takes more than reading and writing
};

// A checked request. Inputs are views of the message, of `converted` where typed contents or integers had to be, or of
// `regions`: their owners may change these at any time.
struct InferPlan {
  Verdict verdict = Verdict::kReady;
  core::Status refusal;
  std::vector<core::TensorView> inputs;  // in the signature's order, in the shapes and dtypes that the model sees
  int64_t rows = 1;
  uint64_t priority = 0;                // 0: none
  std::optional<int64_t> timeout_us{};  // if the request has one
  std::vector<Buffer> converted;
  std::vector<bool> wanted;  // by position among the model's outputs; empty: all

  // Shared memory. All three are empty if the request does not refer to any.
  std::vector<std::span<const std::byte>> shared_inputs;  // by position in the request; none: in the message
  std::vector<std::span<std::byte>> destinations;         // by position among the model's outputs; none: the response
  std::vector<std::shared_ptr<const SharedRegion>> regions;  // what keeps them mapped
};

// regions: the shared memory that the request may refer to; null: the handlers say whether it may. REQUIRES: the
// request was parsed, and its message outlives the plan. Throws std::bad_alloc.
InferPlan check(const InferRequest& request, const ModelInterface& model, const SharedRegions* regions = nullptr);

// "[request id: X] ", which leads the refusals that name the request.
std::string id_prefix(std::string_view id);

// outputs: in the dtypes that the interface declares. The framed response: prefix, model, version, id and the wanted
// outputs as raw contents. Too large a response is a refusal (`status`, INVALID_ARGUMENT) and an empty buffer. Throws
// std::bad_alloc.
Buffer encode_response(const ModelInterface& model, std::string_view id, const std::vector<bool>& wanted,
                       std::span<const core::OutputView> outputs, core::Status& status);

}  // namespace npuserve::wire
