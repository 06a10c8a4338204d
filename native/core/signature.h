// What a compiled model says of itself.
#pragma once

#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"

namespace npuserve::core {

// An input or output; the shape is full, with the batch dimension if there is one; -1 is variable.
struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::kFp32;
  Shape shape;
};

// One compiled set of shapes: full shapes of all inputs and outputs, in the signature's order.
struct Gear {
  std::vector<Shape> input_shapes;
  std::vector<Shape> output_shapes;
};

// A static model has one gear and no -1 in its shapes.
struct Signature {
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  std::vector<Gear> gears;
};

}  // namespace npuserve::core
