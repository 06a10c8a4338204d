// Puts output tensors into the body of an HTTP inference response, as binary data.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "core/tensor_view.h"
#include "wire/buffer.h"
#include "wire/model_interface.h"

namespace npuserve::wire {

struct HttpInferBody {
  Buffer bytes;
  size_t json_bytes = 0;  // what the header Inference-Header-Content-Length states
};

// JSON in Triton's order of keys, then the wanted outputs' bytes. `wanted` is by position among the model's outputs;
// empty: all. Throws std::bad_alloc.
HttpInferBody encode_http_response(const ModelInterface& model, std::string_view id, const std::vector<bool>& wanted,
                                   std::span<const core::OutputView> outputs);

}  // namespace npuserve::wire
