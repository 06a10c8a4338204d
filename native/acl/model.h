// A loaded OM.
//
// Threads: load, execution and release under one context, which must be current for the calling thread. One model never
// executes on two streams at once; setting a gear and enqueueing the execution that it is for are one step, not to be
// interleaved with another slot's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acl/dataset.h"
#include "acl/memory.h"
#include "acl/model_description.h"
#include "acl/owned.h"
#include "acl/stream.h"

namespace npuserve::acl {

// Device memory that a model needs beside its inputs and outputs.
struct ModelSizes {
  std::size_t work_bytes = 0;    // of each load: executions write it
  std::size_t weight_bytes = 0;  // may be shared by all loads of the OM on the device
};

// Memory for a model, or null where it needs none. Outlives it.
struct ModelMemory {
  const DeviceMemory* work = nullptr;
  const DeviceMemory* weights = nullptr;
};

class Model {
 public:
  // What the OM needs; none if the library does not tell, or cannot load into given memory. Throws Error.
  static std::optional<ModelSizes> sizes_of(Runtime& runtime, const std::string& path);

  // Blocks while weights are copied to the device. The driver allocates what the model needs. Throws Error.
  static Model load_from_file(Runtime& runtime, const std::string& path);

  // As above, into memory of sizes_of(). Writes the weights, also those that are shared: not while a model that shares
  // them executes.
  static Model load_from_file(Runtime& runtime, const std::string& path, const ModelMemory& memory);

  [[nodiscard]] std::uint32_t id() const noexcept { return model_.get(); }
  [[nodiscard]] const ModelDescription& description() const noexcept { return description_; }

  // Set the gear that the next execution with this dataset runs at: a gear of the description, exactly. Each copies to
  // the dataset's gear buffer and blocks for it. REQUIRES: no execution with this dataset is queued. Throws Error.
  void set_dynamic_batch_size(Dataset& inputs, std::uint64_t batch_size) const;
  void set_input_dynamic_dims(Dataset& inputs, const std::vector<std::int64_t>& dims) const;

  // Enqueues one execution. The datasets and their memory must stay alive and untouched until the stream has passed it.
  // Throws Error.
  void execute_async(const Dataset& inputs, Dataset& outputs, const Stream& stream) const;

 private:
  Model(Runtime& runtime, std::uint32_t id);

  // The gear input's index. Throws Error as the vendor's library would for a model without gears.
  [[nodiscard]] std::size_t gear_input(const char* call) const;

  Owned<std::uint32_t> model_;
  ModelDescription description_;
};

}  // namespace npuserve::acl
