// Copies between dense row-major arrays of one rank whose shapes differ: into a larger one with padding around, out of
// a larger one leaving its padding behind. Equal shapes, and equal trailing axes, are copied in one piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace npuserve::core {

// Writes all of `to`: the block of shape `block_shape` at the origin of `from`, `padding` everywhere else.
// padding: the bytes of one element. REQUIRES: equal ranks; block_shape <= to_shape, from_shape on every axis.
void copy_block(std::byte* to, std::span<const int64_t> to_shape, const std::byte* from,
                std::span<const int64_t> from_shape, std::span<const int64_t> block_shape,
                std::span<const std::byte> padding);

// As copy_block() with all of `from` as the block, and zeros around it.
void copy_padded(std::byte* to, std::span<const int64_t> to_shape, const std::byte* from,
                 std::span<const int64_t> from_shape, size_t element_bytes);

// As copy_block() with a block of the shape of `to`.
void copy_cut(std::byte* to, std::span<const int64_t> to_shape, const std::byte* from,
              std::span<const int64_t> from_shape, size_t element_bytes);

// Writes one element over and over. REQUIRES: `to` holds a whole number of them.
void fill(std::span<std::byte> to, std::span<const std::byte> element);

}  // namespace npuserve::core
