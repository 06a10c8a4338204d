#include "engine/acl_signature.h"

#include <string>

namespace npuserve::engine {
namespace {

std::vector<const acl::TensorDescription*> user_inputs(const acl::ModelDescription& description) {
  std::vector<const acl::TensorDescription*> inputs;
  for (size_t i = 0; i < description.inputs.size(); ++i) {
    if (i != description.gear_input) inputs.push_back(&description.inputs[i]);
  }
  return inputs;
}

// With batch gears the only variable axis is the batch.
std::vector<core::Shape> shapes_at_batch(const std::vector<const acl::TensorDescription*>& inputs, int64_t batch) {
  std::vector<core::Shape> shapes;
  for (const acl::TensorDescription* input : inputs) {
    core::Shape& shape = shapes.emplace_back(input->dims);
    for (int64_t& dim : shape) {
      if (dim == -1) dim = batch;
    }
  }
  return shapes;
}

// A dims gear is all inputs' full shapes, one after another.
std::vector<core::Shape> split(const std::vector<const acl::TensorDescription*>& inputs, const core::Shape& dims) {
  std::vector<core::Shape> shapes;
  auto next = dims.begin();
  for (const acl::TensorDescription* input : inputs) {
    const auto end = next + static_cast<std::ptrdiff_t>(input->dims.size());
    shapes.emplace_back(next, end);
    next = end;
  }
  return shapes;
}

// -1 where the gears differ.
core::Shape common_shape(const std::vector<std::vector<core::Shape>>& gears, size_t tensor) {
  core::Shape common = gears.front()[tensor];
  for (const std::vector<core::Shape>& shapes : gears) {
    for (size_t axis = 0; axis < common.size(); ++axis) {
      if (shapes[tensor][axis] != common[axis]) common[axis] = -1;
    }
  }
  return common;
}

}  // namespace

std::vector<std::vector<core::Shape>> gear_input_shapes(const acl::ModelDescription& description) {
  const std::vector<const acl::TensorDescription*> inputs = user_inputs(description);
  std::vector<std::vector<core::Shape>> gears;
  gears.reserve(description.dynamic_batch_gears.size() + description.dynamic_dims_gears.size() + 1);
  for (const uint64_t batch : description.dynamic_batch_gears) {
    gears.push_back(shapes_at_batch(inputs, static_cast<int64_t>(batch)));
  }
  for (const std::vector<int64_t>& dims : description.dynamic_dims_gears) gears.push_back(split(inputs, dims));
  if (gears.empty()) gears.push_back(shapes_at_batch(inputs, 1));
  return gears;
}

core::Signature signature_of(const acl::ModelDescription& description,
                             const std::vector<std::vector<core::Shape>>& output_shapes) {
  core::Signature signature;
  for (const acl::TensorDescription* input : user_inputs(description)) {
    signature.inputs.push_back({input->name, input->dtype, input->dims});
  }
  for (size_t i = 0; i < description.outputs.size(); ++i) {
    const acl::TensorDescription& output = description.outputs[i];
    const std::string name = output.name.substr(output.name.rfind(':') + 1);
    signature.outputs.push_back({name, output.dtype, common_shape(output_shapes, i)});
  }
  std::vector<std::vector<core::Shape>> inputs = gear_input_shapes(description);
  for (size_t gear = 0; gear < inputs.size(); ++gear) {
    signature.gears.push_back({std::move(inputs[gear]), output_shapes[gear]});
  }
  return signature;
}

}  // namespace npuserve::engine
