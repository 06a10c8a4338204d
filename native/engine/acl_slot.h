// One batch's worth of memory on both sides, allocated at load for the largest gear.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "acl/dataset.h"
#include "acl/event.h"
#include "acl/memory.h"
#include "acl/model_description.h"
#include "acl/runtime.h"
#include "engine/executor.h"

namespace npuserve::engine {

// A tensor's pinned host buffer and its device buffer.
struct TensorBuffers {
  TensorBuffers(acl::Runtime& runtime, size_t size_bytes);

  acl::PinnedMemory host;
  acl::DeviceMemory device;
};

// The marks between the stages of a batch.
struct StageEvents {
  explicit StageEvents(acl::Runtime& runtime) : inputs_copied(runtime, true), executed(runtime, true) {}

  acl::Event inputs_copied;
  acl::Event executed;
};

// REQUIRES for construction: the instance's context is current.
struct AclSlot {
  AclSlot(acl::Runtime& runtime, const acl::ModelDescription& description, bool time_stages);

  std::vector<TensorBuffers> inputs;  // without the gear input
  std::vector<TensorBuffers> outputs;
  std::optional<acl::DeviceMemory> gear_buffer;
  acl::Dataset input_dataset;
  acl::Dataset output_dataset;
  acl::Event done;
  std::optional<StageEvents> stages;  // if they are timed
  SlotBuffers host;
  std::vector<const std::byte*> borrowed;  // for each input where the next launch reads it; null: in its host buffer
  std::optional<size_t> gear;              // what the datasets and the gear buffer are set to
};

}  // namespace npuserve::engine
