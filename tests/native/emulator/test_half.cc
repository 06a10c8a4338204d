#include "emulator/model/half.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using emulator::Narrow;

namespace {

float rounded(float value, Narrow type = Narrow::half) {
  float result = 0;
  emulator::round_values_portable(type, &value, &result, 1);
  return result;
}

}  // namespace

TEST_CASE("halves round to nearest, ties to even, with subnormals and overflow") {
  CHECK(rounded(1.0F + 0x1p-11F) == 1.0F);
  CHECK(rounded(1.0F + 0x1.8p-10F) == 1.0F + 0x1p-9F);
  CHECK(rounded(65504.0F) == 65504.0F);
  CHECK(rounded(65519.996F) == 65504.0F);
  CHECK(std::isinf(rounded(65520.0F)));
  CHECK(rounded(-1e9F) == -std::numeric_limits<float>::infinity());
  CHECK(rounded(0x1p-24F) == 0x1p-24F);
  CHECK(rounded(0x1p-25F) == 0.0F);
  CHECK(std::signbit(rounded(-0x1p-26F)));
  CHECK(rounded(0x1.8p-24F) == 0x1p-23F);
  CHECK(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("bfloat16 keeps eight bits, ties to even") {
  CHECK(rounded(1.0F + 0x1p-8F, Narrow::bfloat16) == 1.0F);
  CHECK(rounded(1.0F + 0x1.8p-7F, Narrow::bfloat16) == 1.0F + 0x1p-6F);
  CHECK(std::isinf(rounded(std::numeric_limits<float>::max(), Narrow::bfloat16)));
}

TEST_CASE("the vectorised rounding equals the portable one bit by bit") {
  std::vector<float> values;
  for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 2477) {  // prime: all exponents, all kinds of low bits
    const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (!std::isnan(value)) values.push_back(value);
  }
  std::vector<float> fast(values.size());
  std::vector<float> portable(values.size());
  for (const Narrow type : {Narrow::half, Narrow::bfloat16}) {
    emulator::round_values(type, values.data(), fast.data(), values.size());
    emulator::round_values_portable(type, values.data(), portable.data(), values.size());
    size_t different = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      different += std::bit_cast<uint32_t>(fast[i]) != std::bit_cast<uint32_t>(portable[i]) ? 1 : 0;
    }
    CHECK(different == 0);
  }
}
