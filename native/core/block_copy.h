// Copies between dense row-major arrays of one rank whose shapes differ: into a larger one with zeros around, out of a
// larger one leaving its padding behind. Equal shapes, and equal trailing axes, are copied in one piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace npuserve::core {

// Writes all of `to`: the block of shape `from_shape` at its origin, zero everywhere else.
// REQUIRES: equal ranks; from_shape <= to_shape on every axis.
void copy_padded(std::byte* to, std::span<const int64_t> to_shape, const std::byte* from,
                 std::span<const int64_t> from_shape, size_t element_bytes);

// Writes all of `to` with the block of its shape at the origin of `from`.
// REQUIRES: equal ranks; to_shape <= from_shape on every axis.
void copy_cut(std::byte* to, std::span<const int64_t> to_shape, const std::byte* from,
              std::span<const int64_t> from_shape, size_t element_bytes);

}  // namespace npuserve::core
