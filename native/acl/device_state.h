// What the driver tells of a device beside its work.
//
// Threads: any, also while others use the device. The calling thread is left without a context of its own.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "acl/runtime.h"

namespace npuserve::acl {

struct DeviceMemoryState {
  std::size_t total_bytes = 0;  // without what the driver keeps for itself
  std::size_t free_bytes = 0;
};

struct DeviceState {
  // The number that the machine knows the device by, while AscendCL counts the visible ones from 0.
  std::optional<int> physical_id;
  // Told of a device that this process uses: asking any other would start it, for seconds and at the cost of memory.
  std::optional<DeviceMemoryState> memory;
  // Of the busier kind of its cores, matrix and vector, in percent.
  std::optional<int> utilization_percent;
};

// Of the device of the calling thread's context; none if the driver does not tell. Throws Error.
std::optional<DeviceMemoryState> memory_of_current_device(const Runtime& runtime);

// Throws Error. May block while the driver is busy.
DeviceState read_device_state(const std::shared_ptr<Runtime>& runtime, int id);

}  // namespace npuserve::acl
