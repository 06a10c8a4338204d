// What a model takes of a device's memory: told before it is loaded, and refused if there is not as much.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "acl/context.h"
#include "acl/device_state.h"
#include "acl/errors.h"
#include "acl/model.h"
#include "acl/model_description.h"
#include "acl/runtime.h"

namespace npuserve::engine {

// Of all instances of a model on one device.
struct MemoryUse {
  int device = 0;
  size_t instances = 0;
  size_t weight_bytes = 0;  // 0, as the work memory's, where the library does not tell
  size_t work_bytes = 0;
  size_t buffer_bytes = 0;  // of the slots, on the device
  size_t pinned_bytes = 0;  // of the slots, on the host

  size_t device_bytes() const { return weight_bytes + work_bytes + buffer_bytes; }
};

// The device has less free memory than the model needs.
class DoesNotFit : public std::runtime_error {
 public:
  // what(): "needs 12 MiB on device 0 (weights 8, work 2, buffers 2), but 3 MiB of 64 MiB are free".
  DoesNotFit(const MemoryUse& need, size_t free_bytes, size_t total_bytes);
};

// What the library tells of the OM; none if it does not, or cannot read the file: loading it then says why.
std::optional<acl::ModelSizes> known_sizes(acl::Runtime& runtime, const std::string& path);

// What so many instances take, with weights shared between them.
MemoryUse memory_use(int device, size_t instances, const std::optional<acl::ModelSizes>& sizes,
                     const acl::ModelDescription& description, size_t slots);

// The room on a device for instances of an OM. Keeps the device in use.
class Room {
 public:
  // Throws DoesNotFit if there is too little, as far as the library can tell.
  Room(const std::shared_ptr<acl::Runtime>& runtime, const std::string& path, int device, size_t instances,
       size_t slots);

  // Loads into it. Throws what the step throws; DoesNotFit if memory runs out all the same.
  template <class Load>
  void fill(Load load) const {
    try {
      load();
    } catch (const acl::Error& error) {
      refuse_if_out_of_memory(error);
      throw;
    }
  }

 private:
  void refuse_if_out_of_memory(const acl::Error& error) const;

  acl::Context context_;
  std::optional<acl::DeviceMemoryState> memory_;  // at first
  std::optional<MemoryUse> need_;
};

}  // namespace npuserve::engine
