// What an OM holds, as text: --mode=6 and --display_model_info.
#pragma once

#include <string>

#include "emulator/model/metadata.h"

namespace emulator::atc {

std::string display_text(const Metadata& metadata);

}  // namespace emulator::atc
