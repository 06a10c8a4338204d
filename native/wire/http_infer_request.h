// The one shape of HTTP inference that is read here: a POST to an infer path, all inputs and outputs as binary data.
//
// All else (JSON data, shared memory, classification, compression, request parameters, unusual JSON, mistakes) is the
// handlers' (npuserve.service.rest), so that this stays small and every refusal has one place.
#pragma once

#include <cstddef>
#include <span>

#include "wire/http_head.h"
#include "wire/infer_request.h"

namespace npuserve::wire {

// False if the request is not of that shape; `request` then holds nothing of use. The views live as long as the head
// and the body.
bool read_infer(const HttpHead& head, std::span<const std::byte> body, InferRequest& request);

}  // namespace npuserve::wire
