#include "emulator/atc/shapes.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <set>

#include "emulator/atc/failure.h"
#include "emulator/atc/text.h"

namespace emulator::atc {
namespace {

constexpr size_t kMinGears = 2;
constexpr size_t kMaxGears = 100;
constexpr size_t kMaxAxes = 128;  // ACL_MAX_DIM_CNT: a gear is the shapes of all inputs in one aclmdlIODims

int64_t parse_axis(const std::string& text, const std::string& part, bool with_gears) {
  if (part.find('~') != std::string::npos) {
    throw Failure(with_gears ? "E10040" : "E10055",
                  "Shape range [" + part + "] in [--input_shape] is not supported " +
                      (with_gears ? "together with gears." : "by the emulator: use gears."));
  }
  const std::optional<int64_t> value = integer(part);
  if (!value) {
    throw Failure("E10002", "Value [" + text + "] for parameter [--input_shape] is invalid: [" + part +
                                "] is not a number. The format is \"input1:n,c,h,w;input2:n,c\".");
  }
  if (*value < -1 || *value == 0 || (*value == -1 && !with_gears)) {
    throw Failure("E10011", "Value [" + part + "] in [--input_shape=" + text + "] must be positive" +
                                (*value == -1 ? ": -1 needs gears (--dynamic_batch_size or --dynamic_dims)." : "."));
  }
  return *value;
}

InputShape parse_input(const std::string& text, const std::string& part, bool with_gears) {
  const size_t colon = part.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    throw Failure("E10002", "Value [" + text + "] for parameter [--input_shape] is invalid: [" + part +
                                "] lacks a name. The format is \"input1:n,c,h,w;input2:n,c\".");
  }
  InputShape input{trim(part.substr(0, colon)), {}};
  const std::string dims = trim(part.substr(colon + 1));
  if (dims.empty()) return input;  // a scalar
  for (const std::string& axis : split(dims, ',')) input.dims.push_back(parse_axis(text, axis, with_gears));
  return input;
}

std::vector<InputShape> parse_inputs(const std::string& text, bool with_gears) {
  std::vector<InputShape> inputs;
  std::set<std::string> names;
  for (const std::string& part : split(text, ';')) {
    if (part.empty()) continue;  // no shapes at all, or a trailing ';'
    inputs.push_back(parse_input(text, part, with_gears));
    if (!names.insert(inputs.back().name).second) {
      throw Failure("E10002", "Input [" + inputs.back().name + "] appears more than once in [--input_shape].");
    }
  }
  return inputs;
}

int64_t parse_gear_value(const std::string& flag, const std::string& text, const std::string& part) {
  const std::optional<int64_t> value = integer(part);
  if (!value) {
    throw Failure("E10003",
                  "Value [" + text + "] for parameter [--" + flag + "] is invalid: [" + part + "] is not a number.");
  }
  if (*value <= 0 || *value > std::numeric_limits<int32_t>::max()) {
    throw Failure("E10038", "Gear value [" + part + "] of [--" + flag + "] must be positive and fit 32 bits.");
  }
  return *value;
}

std::vector<int64_t> parse_gear(const std::string& flag, const std::string& text) {
  std::vector<int64_t> values;
  for (const std::string& part : split(text, ',')) values.push_back(parse_gear_value(flag, text, part));
  return values;
}

void check_gears(const std::string& flag, const std::vector<std::vector<int64_t>>& gears) {
  if (gears.size() < kMinGears) {
    throw Failure("E10035", "[--" + flag + "] has " + std::to_string(gears.size()) + " gear, at least 2 are needed.");
  }
  if (gears.size() > kMaxGears) {
    throw Failure("E10036",
                  "[--" + flag + "] has " + std::to_string(gears.size()) + " gears, at most 100 are allowed.");
  }
  std::set<std::vector<int64_t>> seen;
  for (const std::vector<int64_t>& gear : gears) {
    if (gear.size() != gears.front().size()) {
      throw Failure("E10037", "The gears of [--" + flag + "] have different numbers of values.");
    }
    if (!seen.insert(gear).second) throw Failure("E10039", "[--" + flag + "] has the same gear twice.");
  }
}

void check_batch_axes(const std::vector<InputShape>& inputs) {
  bool any = false;
  for (const InputShape& input : inputs) {
    if (input.dims.empty()) continue;
    if (std::find(input.dims.begin() + 1, input.dims.end(), -1) != input.dims.end()) {
      throw Failure("E10018", "Input [" + input.name +
                                  "] has -1 in an axis other than 0, which [--dynamic_batch_size] does not allow.");
    }
    any = any || input.dims.front() == -1;
  }
  if (!any) throw Failure("E10031", "No input has -1 in axis 0, which [--dynamic_batch_size] needs.");
}

void check_dims_axes(const std::vector<InputShape>& inputs, size_t values) {
  size_t axes = 0;
  size_t all = 0;
  for (const InputShape& input : inputs) {
    all += input.dims.size();
    axes += static_cast<size_t>(std::count(input.dims.begin(), input.dims.end(), -1));
  }
  if (all > kMaxAxes) {
    throw Failure("E10055", "The inputs have " + std::to_string(all) +
                                " axes together; with [--dynamic_dims] at most " + std::to_string(kMaxAxes) +
                                " can be described.");
  }
  if (axes == 0) throw Failure("E10040", "No input has a -1 axis, which [--dynamic_dims] needs.");
  if (axes != values) {
    throw Failure(axes > values ? "E10046" : "E10045", "[--input_shape] has " + std::to_string(axes) +
                                                           " axes of -1, but each gear of [--dynamic_dims] has " +
                                                           std::to_string(values) + " values.");
  }
}

GearKind gear_kind(const Flags& flags) {
  static constexpr std::array<const char*, 4> kExclusive{"dynamic_batch_size", "dynamic_image_size",
                                                         "input_shape_range", "dynamic_dims"};
  const auto given =
      std::count_if(kExclusive.begin(), kExclusive.end(), [&](const char* name) { return !flags.get(name).empty(); });
  if (given > 1) {
    throw Failure("E10009",
                  "[--dynamic_batch_size], [--dynamic_image_size], [--input_shape_range] and [--dynamic_dims] are "
                  "mutually exclusive.");
  }
  for (const char* name : {"dynamic_image_size", "input_shape_range"}) {
    if (!flags.get(name).empty()) {
      throw Failure("E10055", std::string("The emulator does not support parameter [--") + name +
                                  "]; use [--dynamic_batch_size] or [--dynamic_dims].");
    }
  }
  if (!flags.get("dynamic_batch_size").empty()) return GearKind::batch;
  return flags.get("dynamic_dims").empty() ? GearKind::none : GearKind::dims;
}

std::vector<std::vector<int64_t>> parse_gears(const std::string& flag, const std::string& text, char separator) {
  std::vector<std::vector<int64_t>> gears;
  for (const std::string& part : split(text, separator)) {
    if (!part.empty()) gears.push_back(parse_gear(flag, part));
  }
  check_gears(flag, gears);
  return gears;
}

}  // namespace

Shapes parse_shapes(const Flags& flags) {
  Shapes shapes;
  shapes.gear_kind = gear_kind(flags);
  const std::string text = flags.get("input_shape");
  const bool with_gears = shapes.gear_kind != GearKind::none;
  if (with_gears && text.empty()) throw Failure("E10007", "[--input_shape] is required when gears are set.");
  shapes.inputs = parse_inputs(text, with_gears);
  switch (shapes.gear_kind) {
    case GearKind::none:
      shapes.gears = {{}};
      break;
    case GearKind::batch:
      shapes.gears = parse_gears("dynamic_batch_size", flags.get("dynamic_batch_size"), ',');
      check_batch_axes(shapes.inputs);
      break;
    case GearKind::dims:
      if (flags.get("input_format") != "ND") {
        invalid_value("input_format", flags.get("input_format"), "It must be ND when [--dynamic_dims] is set.");
      }
      shapes.gears = parse_gears("dynamic_dims", flags.get("dynamic_dims"), ';');
      check_dims_axes(shapes.inputs, shapes.gears.front().size());
      break;
  }
  return shapes;
}

std::vector<Shape> shapes_of_gear(const std::vector<Shape>& inputs, GearKind kind, const std::vector<int64_t>& values) {
  std::vector<Shape> shapes = inputs;
  size_t next = 0;
  for (Shape& shape : shapes) {
    for (int64_t& axis : shape) {
      if (axis == -1) axis = kind == GearKind::batch ? values.at(0) : values.at(next++);
    }
  }
  return shapes;
}

}  // namespace emulator::atc
