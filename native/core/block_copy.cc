#include "core/block_copy.h"

#include <algorithm>
#include <cstring>

namespace npuserve::core {
namespace {

size_t bytes_of(std::span<const int64_t> shape, size_t element_bytes) {
  size_t bytes = element_bytes;
  for (const int64_t dim : shape) bytes *= static_cast<size_t>(dim);
  return bytes;
}

// memmove and memset with a null pointer are undefined even for no bytes, and an empty tensor may have one. Not memcpy:
// a client that shares memory may let an output overlap the input that it copies.
void copy_bytes(std::byte* to, const std::byte* from, size_t bytes) {
  if (bytes > 0) std::memmove(to, from, bytes);
}

void zero_bytes(std::byte* to, size_t bytes) {
  if (bytes > 0) std::memset(to, 0, bytes);
}

bool inner_axes_equal(std::span<const int64_t> a, std::span<const int64_t> b) {
  return std::ranges::equal(a.subspan(1), b.subspan(1));
}

}  // namespace

void copy_padded(std::byte* to, std::span<const int64_t> to_shape, const std::byte* from,
                 std::span<const int64_t> from_shape, size_t element_bytes) {
  if (to_shape.empty()) return copy_bytes(to, from, element_bytes);
  const size_t to_bytes = bytes_of(to_shape, element_bytes);
  if (inner_axes_equal(to_shape, from_shape)) {
    const size_t from_bytes = bytes_of(from_shape, element_bytes);
    copy_bytes(to, from, from_bytes);
    zero_bytes(to + from_bytes, to_bytes - from_bytes);
    return;
  }
  const auto to_inner = to_shape.subspan(1);
  const auto from_inner = from_shape.subspan(1);
  const size_t to_step = bytes_of(to_inner, element_bytes);
  const size_t from_step = bytes_of(from_inner, element_bytes);
  const auto blocks = static_cast<size_t>(from_shape[0]);
  for (size_t i = 0; i < blocks; ++i) {
    copy_padded(to + i * to_step, to_inner, from + i * from_step, from_inner, element_bytes);
  }
  zero_bytes(to + blocks * to_step, to_bytes - blocks * to_step);
}

void copy_cut(std::byte* to, std::span<const int64_t> to_shape, const std::byte* from,
              std::span<const int64_t> from_shape, size_t element_bytes) {
  if (to_shape.empty()) return copy_bytes(to, from, element_bytes);
  if (inner_axes_equal(to_shape, from_shape)) return copy_bytes(to, from, bytes_of(to_shape, element_bytes));
  const auto to_inner = to_shape.subspan(1);
  const auto from_inner = from_shape.subspan(1);
  const size_t to_step = bytes_of(to_inner, element_bytes);
  const size_t from_step = bytes_of(from_inner, element_bytes);
  for (size_t i = 0; i < static_cast<size_t>(to_shape[0]); ++i) {
    copy_cut(to + i * to_step, to_inner, from + i * from_step, from_inner, element_bytes);
  }
}

}  // namespace npuserve::core
