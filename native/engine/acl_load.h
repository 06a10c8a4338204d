// Loading an OM: all instances of a model, on their devices.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "acl/host_registrar.h"
#include "acl/runtime.h"
#include "core/signature.h"
#include "engine/acl_memory.h"
#include "engine/executor.h"
#include "engine/host_policy.h"

namespace npuserve::engine {

// Where an instance runs.
struct AclPlace {
  int device = 0;
  std::shared_ptr<acl::HostRegistrar> registrar{};  // the device's; none: no inputs are borrowed
  HostPolicy host{};
};

struct LoadedOm {
  std::vector<std::unique_ptr<Executor>> executors;  // one a place, in their order
  std::vector<MemoryUse> memory;                     // by device
};

// Loads the OM once a place, then warms all up. The instances of a device share its weights where the library lets
// them; what the gears cost is measured once a device. Throws acl::Error; if there is too little memory, DoesNotFit,
// and std::invalid_argument for a host policy that the machine cannot follow.
LoadedOm load_om(const std::shared_ptr<acl::Runtime>& runtime, const std::string& path,
                 const std::vector<AclPlace>& places, size_t slots, bool time_stages);

// Loads the OM on the device, reads what it says of itself, unloads it. Throws as load_om().
core::Signature describe(const std::shared_ptr<acl::Runtime>& runtime, const std::string& path, int device);

}  // namespace npuserve::engine
