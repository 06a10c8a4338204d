// The flags that decide precision, and the configuration files behind them.
#pragma once

#include <string>
#include <vector>

#include "emulator/atc/flags.h"
#include "emulator/model/precision.h"

namespace emulator::atc {

// --precision_mode or --precision_mode_v2, --modify_mixlist. Throws Failure: E10056 for both modes at
// once, E10001 for a bad value or for a mix list without mixed precision.
PrecisionRules parse_precision(const Flags& flags);

// The operators that --keep_dtype names. REQUIRES: the flag is set.
struct KeptOperators {
  std::vector<std::string> names;
  std::vector<std::string> types;
};
KeptOperators parse_keep_dtype(const Flags& flags);

std::string precision_name(const Flags& flags);

// --fusion_switch_file is read for errors only: the emulator fuses nothing, so nothing is to be switched off.
void check_fusion_switches(const Flags& flags);

}  // namespace emulator::atc
