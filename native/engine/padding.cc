#include "engine/padding.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace npuserve::engine {
namespace {

using core::Dtype;

[[noreturn]] void refuse(Dtype dtype, double value) {
  std::ostringstream text;
  text << "padding value " << value << " is none of type " << core::dtype_name(dtype);
  throw std::invalid_argument(text.str());
}

template <typename T>
std::vector<std::byte> bytes_of(T element) {
  std::vector<std::byte> bytes(sizeof(T));
  std::memcpy(bytes.data(), &element, sizeof(T));
  return bytes;
}

// The bounds as doubles are powers of two, or next to one: what is below the upper one fits.
template <typename T>
std::vector<std::byte> whole(Dtype dtype, double value) {
  const double beyond = std::ldexp(1.0, std::numeric_limits<T>::digits);
  const double least = std::is_signed_v<T> ? -beyond : 0;
  if (std::trunc(value) != value || value < least || value >= beyond) refuse(dtype, value);
  return bytes_of(static_cast<T>(value));
}

// IEEE's binary16, or bfloat16: so many bits of mantissa, exponents up to so large a one; to the nearest, ties to even.
std::vector<std::byte> half(Dtype dtype, double value, int mantissa_bits, int max_exponent) {
  const double magnitude = std::fabs(value);
  int exponent = 0;
  if (magnitude > 0) exponent = std::max(std::ilogb(magnitude), 1 - max_exponent);
  const auto steps = static_cast<uint64_t>(std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent)));
  // The implicit leading bit of the mantissa adds one to the exponent's field, as a carry of the rounding does.
  const int field = magnitude > 0 ? exponent + max_exponent - 1 : 0;
  const uint64_t bits = (static_cast<uint64_t>(field) << mantissa_bits) + steps;
  if (bits >= (uint64_t{2} * static_cast<uint64_t>(max_exponent) + 1) << mantissa_bits) refuse(dtype, value);
  return bytes_of(static_cast<uint16_t>(bits | (std::signbit(value) ? 0x8000U : 0U)));
}

template <typename T>
int64_t used_length_of(const std::byte* data, int64_t rows, int64_t length) {
  int64_t used = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const std::byte* const begin = data + static_cast<size_t>(row * length) * sizeof(T);
    const auto counts = [begin](int64_t position) {
      T element;
      std::memcpy(&element, begin + static_cast<size_t>(position) * sizeof(T), sizeof(T));
      return element != 0;
    };
    int64_t end = length;
    while (end > used && !counts(end - 1)) --end;
    int64_t first = 0;
    while (first < end && !counts(first)) ++first;
    if (first == end) return length;
    used = end;
  }
  return used;
}

}  // namespace

std::vector<std::byte> padding_element(Dtype dtype, double value) {
  if (!std::isfinite(value)) refuse(dtype, value);
  switch (dtype) {
    case Dtype::kBool:
      if (value != 0 && value != 1) refuse(dtype, value);
      return whole<uint8_t>(dtype, value);
    case Dtype::kUint8:
      return whole<uint8_t>(dtype, value);
    case Dtype::kUint16:
      return whole<uint16_t>(dtype, value);
    case Dtype::kUint32:
      return whole<uint32_t>(dtype, value);
    case Dtype::kUint64:
      return whole<uint64_t>(dtype, value);
    case Dtype::kInt8:
      return whole<int8_t>(dtype, value);
    case Dtype::kInt16:
      return whole<int16_t>(dtype, value);
    case Dtype::kInt32:
      return whole<int32_t>(dtype, value);
    case Dtype::kInt64:
      return whole<int64_t>(dtype, value);
    case Dtype::kFp16:
      return half(dtype, value, 10, 15);
    case Dtype::kBf16:
      return half(dtype, value, 7, 127);
    case Dtype::kFp32:
      if (std::fabs(value) > static_cast<double>(std::numeric_limits<float>::max())) refuse(dtype, value);
      return bytes_of(static_cast<float>(value));
    case Dtype::kFp64:
      return bytes_of(value);
    case Dtype::kBytes:
      break;
  }
  refuse(dtype, value);
}

int64_t used_length(const core::TensorView& mask, size_t element_bytes) {
  const int64_t rows = mask.shape[0];
  const int64_t length = mask.shape[1];
  switch (element_bytes) {
    case 1:
      return used_length_of<uint8_t>(mask.data, rows, length);
    case 2:
      return used_length_of<uint16_t>(mask.data, rows, length);
    case 4:
      return used_length_of<uint32_t>(mask.data, rows, length);
    default:
      return used_length_of<uint64_t>(mask.data, rows, length);
  }
}

}  // namespace npuserve::engine
