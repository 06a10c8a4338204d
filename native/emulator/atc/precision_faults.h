// Operators that compute wrong on purpose: NPUSERVE_EMULATOR_PRECISION_FAULTS="node:relative[:half]", separated by ';'.
// node: an ONNX node's name. half: only where the node runs in half precision, so that keeping its precision mends it.
#pragma once

#include <map>
#include <string>

#include "emulator/model/precision.h"

namespace emulator::atc {

// By node. Throws Failure that quotes the bad rule.
std::map<std::string, PrecisionFault> read_precision_faults();

}  // namespace emulator::atc
