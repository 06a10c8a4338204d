// The process's one ov::Core, which knows the operations of our own.
#pragma once

#include <openvino/runtime/core.hpp>

namespace emulator {

ov::Core& openvino_core();

}  // namespace emulator
