// What OpenVINO's int8 kernels do on this CPU.
#pragma once

namespace emulator {

// Whether they sum in 32 bits, as the device does. Those for CPUs without VNNI add pairs of products in 16 bits, which
// saturate: there a quantized graph has to be computed in float32. Found out by a product, once in a process.
bool int8_kernels_are_exact();

}  // namespace emulator
