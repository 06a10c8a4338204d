#include "core/shape.h"

#include <stdexcept>

namespace npuserve::core {

int64_t element_count(std::span<const int64_t> shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) {
    if (dim < 0) throw std::invalid_argument("shape " + format_shape(shape) + " has a dimension below 0");
    if (__builtin_mul_overflow(count, dim, &count)) {
      throw std::invalid_argument("shape " + format_shape(shape) + " has more elements than 64 bits count");
    }
  }
  return count;
}

size_t byte_count(std::span<const int64_t> shape, size_t element_bytes) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(element_count(shape)), element_bytes, &bytes)) {
    throw std::invalid_argument("shape " + format_shape(shape) + " has more bytes than 64 bits count");
  }
  return bytes;
}

std::string format_shape(std::span<const int64_t> shape) {
  std::string text = "[";
  for (const int64_t dim : shape) {
    if (text.size() > 1) text += ',';
    text += std::to_string(dim);
  }
  return text + "]";
}

}  // namespace npuserve::core
