// Rounding of float32 values to the values of a narrower float, as the device's casts do it.
#pragma once

#include <cstddef>

namespace emulator {

enum class Narrow { half, bfloat16 };

// Rounds to nearest, ties to even; overflow gives infinity, subnormals are kept. A NaN stays a (quiet) NaN.
// `to` may be `from`.
void round_values(Narrow type, const float* from, float* to, size_t count);

// The same without vector instructions: what round_values falls back to, and its witness in tests.
void round_values_portable(Narrow type, const float* from, float* to, size_t count);

}  // namespace emulator
