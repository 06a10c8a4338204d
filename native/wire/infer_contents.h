// Typed contents (InferTensorContents): counted where they lie, and turned into raw bytes.
#pragma once

#include <cstdint>
#include <optional>

#include "core/dtype.h"
#include "wire/buffer.h"
#include "wire/infer_request.h"
#include "wire/protobuf_reader.h"

namespace npuserve::wire {

// Adds one sub-message's values to the counts. False if it is malformed.
bool count_contents(ProtobufReader reader, TypedContents& contents);

// The dtype that a field stands for in a refusal.
core::Dtype typical_dtype(uint32_t field);

// Whether the field may carry elements of the dtype; FP16 and BF16 have none.
bool carries(uint32_t field, core::Dtype dtype);

// The values of one field as a raw tensor: narrow integers keep their low bytes, as a C cast does; floats all their
// bits; BYTES have a length of 4 bytes before each element. REQUIRES: carries(field, dtype). Throws std::bad_alloc.
Buffer raw_contents(const TypedContents& contents, uint32_t field, core::Dtype dtype);

}  // namespace npuserve::wire
