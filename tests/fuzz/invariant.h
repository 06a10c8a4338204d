// What a fuzz target holds the product to.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace npuserve::fuzz {

// Says what did not hold and ends the program as a crash does, so that the fuzzer keeps the input.
inline void require(bool holds, const char* sentence) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", sentence);
  std::abort();
}

}  // namespace npuserve::fuzz
