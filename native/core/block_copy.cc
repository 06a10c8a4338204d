#include "core/block_copy.h"

#include <algorithm>
#include <array>
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

bool inner_axes_equal(std::span<const int64_t> a, std::span<const int64_t> b) {
  return std::ranges::equal(a.subspan(1), b.subspan(1));
}

// Zeros enough for an element of any dtype.
constexpr std::array<std::byte, 8> kZeros{};

}  // namespace

void fill(std::span<std::byte> to, std::span<const std::byte> element) {
  if (to.empty()) return;
  if (std::ranges::equal(element, std::span(kZeros).first(element.size()))) {
    std::memset(to.data(), 0, to.size());
    return;
  }
  std::ranges::copy(element, to.begin());
  for (size_t done = element.size(); done < to.size(); done *= 2) {
    std::memcpy(to.data() + done, to.data(), std::min(done, to.size() - done));
  }
}

void copy_block(std::byte* to, std::span<const int64_t> to_shape, const std::byte* from,
                std::span<const int64_t> from_shape, std::span<const int64_t> block_shape,
                std::span<const std::byte> padding) {
  const size_t element_bytes = padding.size();
  if (to_shape.empty()) return copy_bytes(to, from, element_bytes);
  const size_t to_bytes = bytes_of(to_shape, element_bytes);
  if (inner_axes_equal(to_shape, block_shape) && inner_axes_equal(from_shape, block_shape)) {
    const size_t block_bytes = bytes_of(block_shape, element_bytes);
    copy_bytes(to, from, block_bytes);
    return fill({to + block_bytes, to_bytes - block_bytes}, padding);
  }
  const auto to_inner = to_shape.subspan(1);
  const auto from_inner = from_shape.subspan(1);
  const size_t to_step = bytes_of(to_inner, element_bytes);
  const size_t from_step = bytes_of(from_inner, element_bytes);
  const auto blocks = static_cast<size_t>(block_shape[0]);
  for (size_t i = 0; i < blocks; ++i) {
    copy_block(to + i * to_step, to_inner, from + i * from_step, from_inner, block_shape.subspan(1), padding);
  }
  fill({to + blocks * to_step, to_bytes - blocks * to_step}, padding);
}

void copy_padded(std::byte* to, std::span<const int64_t> to_shape, const std::byte* from,
                 std::span<const int64_t> from_shape, size_t element_bytes) {
  copy_block(to, to_shape, from, from_shape, from_shape, std::span(kZeros).first(element_bytes));
}

void copy_cut(std::byte* to, std::span<const int64_t> to_shape, const std::byte* from,
              std::span<const int64_t> from_shape, size_t element_bytes) {
  copy_block(to, to_shape, from, from_shape, to_shape, std::span(kZeros).first(element_bytes));
}

}  // namespace npuserve::core
