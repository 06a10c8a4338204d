// --input_shape and the gears.
#pragma once

#include <string>
#include <vector>

#include "emulator/atc/flags.h"
#include "emulator/model/metadata.h"

namespace emulator::atc {

struct InputShape {
  std::string name;
  Shape dims;  // -1 where a gear decides
};

struct Shapes {
  std::vector<InputShape> inputs;
  GearKind gear_kind = GearKind::none;
  std::vector<std::vector<int64_t>> gears;  // values; one empty list without gears
};

// Throws Failure with the vendor's code for each rule of shapes and gears that is broken.
Shapes parse_shapes(const Flags& flags);

// The dims with a gear's values in place of -1, for all inputs in order.
std::vector<Shape> shapes_of_gear(const std::vector<Shape>& inputs, GearKind kind, const std::vector<int64_t>& values);

}  // namespace emulator::atc
