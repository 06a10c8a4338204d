#include "emulator/model/openvino_core.h"

#include "emulator/model/round_op.h"

namespace emulator {
namespace {

ov::Core make_core() {
  ov::Core core;
  core.add_extension<RoundValues>();
  return core;
}

}  // namespace

ov::Core& openvino_core() {
  static ov::Core core = make_core();
  return core;
}

}  // namespace emulator
