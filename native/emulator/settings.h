// What the environment sets, read at every aclInit. A drop-in library has no other door for it.
#pragma once

#include <cstddef>
#include <string>

namespace emulator {

struct Settings {
  int device_count = 1;                              // NPUSERVE_EMULATOR_DEVICES
  std::size_t memory_bytes = std::size_t{64} << 30;  // NPUSERVE_EMULATOR_MEMORY_BYTES, of each device
  std::string faults;                                // NPUSERVE_EMULATOR_FAULTS, see faults.h
  int inference_threads = 0;                         // NPUSERVE_EMULATOR_THREADS; 0 = all
  std::string soc_name = "Ascend910B3";              // NPUSERVE_EMULATOR_SOC
};

// The settings in force: those of the last aclInit, the defaults before. The reference stays valid for good.
const Settings& settings();

// Reads the environment. Throws a Refusal (100000) that names the variable with a bad value.
void load_settings();

}  // namespace emulator
