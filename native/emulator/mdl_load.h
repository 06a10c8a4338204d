// Loading with memory of the caller's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "emulator/model/om_file.h"

namespace emulator {

// Memory for a model; a null pointer leaves that part to the library.
struct GivenMemory {
  void* work = nullptr;
  size_t work_bytes = 0;
  void* weights = nullptr;
  size_t weight_bytes = 0;
};

// Loads under the current context and returns the id. Refuses memory that is too small (145000) or not the device's.
uint32_t load_model(const OmFile& file, const GivenMemory& memory);

}  // namespace emulator
