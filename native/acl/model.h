// A loaded OM.
//
// Threads: load, execution and release under one context, which must be current for the calling thread. One model never
// executes on two streams at once; setting a gear and enqueueing the execution that it is for are one step, not to be
// interleaved with another slot's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "acl/dataset.h"
#include "acl/model_description.h"
#include "acl/owned.h"
#include "acl/stream.h"

namespace npuserve::acl {

class Model {
 public:
  // Blocks while weights are copied to the device. Throws Error.
  static Model load_from_file(Runtime& runtime, const std::string& path);

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
  Model(Owned<std::uint32_t> model, ModelDescription description);

  // The gear input's index. Throws Error as the vendor's library would for a model without gears.
  [[nodiscard]] std::size_t gear_input(const char* call) const;

  Owned<std::uint32_t> model_;
  ModelDescription description_;
};

}  // namespace npuserve::acl
