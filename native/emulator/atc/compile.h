// ONNX to OM.
#pragma once

#include "emulator/atc/options.h"
#include "emulator/model/metadata.h"

namespace emulator::atc {

// Compiles and writes options.output. Throws Failure.
Metadata compile(const Options& options);

}  // namespace emulator::atc
