// Shapes of dense, row-major tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace npuserve::core {

// A dimension of -1 is variable; only a model's signature has such.
using Shape = std::vector<int64_t>;

// The product of the dimensions; 1 for a scalar. Throws std::invalid_argument on a negative dimension or an overflow.
int64_t element_count(std::span<const int64_t> shape);

// The bytes of so many elements. Throws as element_count, also if the bytes overflow.
size_t byte_count(std::span<const int64_t> shape, size_t element_bytes);

// As Triton's messages print it: "[-1,16]".
std::string format_shape(std::span<const int64_t> shape);

}  // namespace npuserve::core
