// aclFloat16ToFloat and back, by IEEE 754 binary16: rounding to nearest, ties to even.
#include <bit>
#include <cstdint>

#include "emulator/exports.h"

namespace {

constexpr std::uint32_t kFloatSign = 0x80000000;
constexpr std::uint32_t kFloatInfinity = 0x7F800000;
constexpr std::uint32_t kHalfInfinity = 0x7C00;
constexpr std::uint32_t kHalfQuiet = 0x0200;
// 65520, the first value that rounds to infinity, and 2^-14, the least normal value.
constexpr std::uint32_t kOverflow = 0x477FF000;
constexpr std::uint32_t kLeastNormal = 0x38800000;
constexpr std::uint32_t kBiasDifference = (127 - 15) << 23;

// The mantissa is 13 bits narrower: half of the last kept bit is added, less one unless that bit is odd.
std::uint32_t round_normal(std::uint32_t magnitude) {
  const std::uint32_t odd = (magnitude >> 13) & 1;
  return (magnitude - kBiasDifference + 0xFFF + odd) >> 13;
}

// Adding 0.5 puts the least subnormal step, 2^-24, at the last bit of a float: the addition itself rounds.
std::uint32_t round_subnormal(std::uint32_t magnitude) {
  const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
  return std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5F);
}

}  // namespace

aclFloat16 aclFloatToFloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & ~kFloatSign;
  const std::uint32_t sign = (bits & kFloatSign) >> 16;
  std::uint32_t half = 0;
  if (magnitude > kFloatInfinity) {
    half = kHalfInfinity | kHalfQuiet;
  } else if (magnitude >= kOverflow) {
    half = kHalfInfinity;
  } else {
    half = magnitude >= kLeastNormal ? round_normal(magnitude) : round_subnormal(magnitude);
  }
  return static_cast<aclFloat16>(sign | half);
}

float aclFloat16ToFloat(aclFloat16 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value & 0x8000) << 16;
  const std::uint32_t magnitude = value & 0x7FFF;
  if (magnitude >= kHalfInfinity) return std::bit_cast<float>(sign | kFloatInfinity | (magnitude << 13));
  if (magnitude >= 0x0400) return std::bit_cast<float>(sign | ((magnitude << 13) + kBiasDifference));
  const float subnormal = static_cast<float>(magnitude) * 0x1p-24F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(subnormal));
}
