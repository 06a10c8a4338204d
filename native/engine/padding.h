// What fills an input beyond a request's length, and where a request ends that its sender has filled up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/dtype.h"
#include "core/tensor_view.h"

namespace npuserve::engine {

// The bytes of one element of that value. Throws std::invalid_argument, which names value and dtype, if the dtype does
// not have it.
std::vector<std::byte> padding_element(core::Dtype dtype, double value);

// Up to where any row of the mask has an element that is not 0: trailing positions beyond are nobody's. All of the
// length if a row has none: what a model answers to such a row may depend on every position of it.
// REQUIRES: elements of 1, 2, 4 or 8 bytes; a shape of [rows, length].
int64_t used_length(const core::TensorView& mask, size_t element_bytes);

}  // namespace npuserve::engine
