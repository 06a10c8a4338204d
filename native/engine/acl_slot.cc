#include "engine/acl_slot.h"

#include <algorithm>
#include <string>

#include "acl/errors.h"

namespace npuserve::engine {
namespace {

// AscendCL refuses to allocate nothing, and a tensor may have no elements.
size_t allocatable(size_t size_bytes) { return std::max<size_t>(1, size_bytes); }

// The driver's text does not say how much was asked for.
template <class Memory>
Memory allocate(acl::Runtime& runtime, size_t size_bytes) {
  try {
    return Memory(runtime, allocatable(size_bytes));
  } catch (const acl::Error& error) {
    if (error.kind() != acl::Error::Kind::kOutOfMemory) throw;
    throw acl::Error(error.call(), error.code(),
                     std::to_string(allocatable(size_bytes)) + " bytes asked for; " + error.detail());
  }
}

}  // namespace

TensorBuffers::TensorBuffers(acl::Runtime& runtime, size_t size_bytes)
    : host(allocate<acl::PinnedMemory>(runtime, size_bytes)),
      device(allocate<acl::DeviceMemory>(runtime, size_bytes)) {}

// Data buffers declare exactly what the model reports: with a longer gear buffer the driver writes wider elements.
AclSlot::AclSlot(acl::Runtime& runtime, const acl::ModelDescription& description, bool time_stages)
    : input_dataset(runtime), output_dataset(runtime), done(runtime, time_stages) {
  if (time_stages) stages.emplace(runtime);
  for (size_t i = 0; i < description.inputs.size(); ++i) {
    const size_t bytes = description.inputs[i].size_bytes;
    if (i == description.gear_input) {
      gear_buffer.emplace(allocate<acl::DeviceMemory>(runtime, bytes));
      input_dataset.add(acl::DataBuffer(runtime, gear_buffer->data(), bytes));
      continue;
    }
    const TensorBuffers& buffers = inputs.emplace_back(runtime, bytes);
    input_dataset.add(acl::DataBuffer(runtime, buffers.device.data(), bytes));
    host.inputs.emplace_back(buffers.host.data(), bytes);
  }
  borrowed.resize(inputs.size());
  for (const acl::TensorDescription& output : description.outputs) {
    const TensorBuffers& buffers = outputs.emplace_back(runtime, output.size_bytes);
    output_dataset.add(acl::DataBuffer(runtime, buffers.device.data(), output.size_bytes));
    host.outputs.emplace_back(buffers.host.data(), output.size_bytes);
  }
}

}  // namespace npuserve::engine
