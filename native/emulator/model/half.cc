#include "emulator/model/half.h"

#include <bit>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace emulator {
namespace {

constexpr uint32_t kSign = 0x80000000U;
constexpr uint32_t kInfinity = 0x7F800000U;
constexpr uint32_t kQuiet = 0x00400000U;

float half_value(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits & kSign;
  const uint32_t magnitude = bits & ~kSign;
  if (magnitude > kInfinity) return std::bit_cast<float>((bits | kQuiet) & 0xFFFFE000U);
  // 65520 lies halfway between the largest half, 65504, and 2^16: the tie goes to the even one, which is infinity.
  if (magnitude >= 0x477FF000U) return std::bit_cast<float>(sign | kInfinity);
  if (magnitude < 0x38800000U) {
    // Below 2^-14 halves are multiples of 2^-24, the distance of two floats next to 0.5: the addition does the
    // rounding.
    const float rounded = (std::bit_cast<float>(magnitude) + 0.5F) - 0.5F;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(rounded) | sign);
  }
  return std::bit_cast<float>((bits + 0xFFFU + ((bits >> 13) & 1U)) & 0xFFFFE000U);
}

float bfloat16_value(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & ~kSign) > kInfinity) return std::bit_cast<float>((bits | kQuiet) & 0xFFFF0000U);
  return std::bit_cast<float>((bits + 0x7FFFU + ((bits >> 16) & 1U)) & 0xFFFF0000U);
}

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) void round_half_f16c(const float* from, float* to, size_t count) {
  constexpr size_t kLanes = 8;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(halves));
  }
  for (; i < count; ++i) to[i] = half_value(from[i]);
}
#endif

}  // namespace

void round_values_portable(Narrow type, const float* from, float* to, size_t count) {
  if (type == Narrow::half) {
    for (size_t i = 0; i < count; ++i) to[i] = half_value(from[i]);
  } else {
    for (size_t i = 0; i < count; ++i) to[i] = bfloat16_value(from[i]);
  }
}

void round_values(Narrow type, const float* from, float* to, size_t count) {
#if defined(__x86_64__)
  static const bool has_f16c = __builtin_cpu_supports("avx") != 0 && __builtin_cpu_supports("f16c") != 0;
  if (type == Narrow::half && has_f16c) return round_half_f16c(from, to, count);
#endif
  round_values_portable(type, from, to, count);
}

}  // namespace emulator
