// What an OM tells about itself besides its graph: ports, gears, precision, how it was compiled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "emulator/model/element.h"

namespace emulator {

enum class GearKind : uint8_t { none, batch, dims };

struct Port {
  std::string name;
  Element element = Element::f32;
  Shape dims;  // of inputs: -1 where a gear decides; of outputs: of the largest gear
};

// One compiled shape. A model without gears has exactly one, with no values.
struct Gear {
  std::vector<int64_t> values;  // one for each -1 in the inputs' dims, in order (batch: the one batch size)
  std::vector<Shape> input_shapes;
  std::vector<Shape> output_shapes;
};

// One operator of the compiled graph.
struct Operator {
  std::string name;
  std::string type;  // as Ascend names it
  // What its output is rounded to: FP32, FP16, BF16; or the element type if not a float. INT8 where it quantizes or
  // multiplies integers.
  std::string precision;
};

struct Metadata {
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  GearKind gear_kind = GearKind::none;
  std::vector<Gear> gears;
  int32_t format = 2;  // of all ports, with AscendCL's numbers (aclFormat): --input_format
  std::string precision_mode;
  std::string soc_version;
  std::string command_line;
  std::vector<Operator> operators;
  uint64_t weight_bytes = 0;
  uint64_t work_bytes = 0;

  // The gear with the largest product of values; the one whose shapes the description reports.
  size_t largest_gear() const;
  // The largest number of bytes that any gear needs.
  size_t input_bytes(size_t index) const;
  size_t output_bytes(size_t index) const;
};

std::vector<std::byte> encode(const Metadata& metadata);
// Throws std::runtime_error on anything that encode did not write.
Metadata decode(std::span<const std::byte> bytes);

}  // namespace emulator
