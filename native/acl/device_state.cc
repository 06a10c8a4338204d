#include "acl/device_state.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "acl/call.h"
#include "acl/context.h"

namespace npuserve::acl {
namespace {

// Asks for what a driver may not be able to tell, as on a part of a device. Throws Error if the device is lost.
template <class Ask>
auto if_told(Ask ask) -> decltype(ask()) {
  try {
    return ask();
  } catch (const Error& error) {
    if (error.kind() == Error::Kind::kDeviceFatal) throw;
    return std::nullopt;
  }
}

// A device that this process uses is set, and counts one user more, until the answer is there.
std::optional<DeviceMemoryState> memory_of(Runtime& runtime, int id) {
  if (!runtime.uses_device(id)) return std::nullopt;
  const Device device(runtime, id);
  return memory_of_current_device(runtime);
}

std::optional<int> utilization_of(const Runtime& runtime, int id) {
  if (!runtime.functions().aclrtGetDeviceUtilizationRate) return std::nullopt;
  aclrtUtilizationInfo told{};
  check(runtime, runtime.functions().aclrtGetDeviceUtilizationRate, id, &told);
  const std::int32_t busier = std::max(told.cubeUtilization, told.vectorUtilization);
  return busier < 0 ? std::nullopt : std::optional<int>(std::min(busier, 100));
}

std::optional<int> physical_id_of(const Runtime& runtime, int id) {
  if (!runtime.functions().aclrtGetPhyDevIdByLogicDevId) return std::nullopt;
  std::int32_t physical = 0;
  check(runtime, runtime.functions().aclrtGetPhyDevIdByLogicDevId, id, &physical);
  return physical;
}

}  // namespace

// A device has memory of one of the two kinds, and none of the other.
std::optional<DeviceMemoryState> memory_of_current_device(const Runtime& runtime) {
  constexpr std::array kKinds{ACL_HBM_MEM, ACL_DDR_MEM};
  for (const aclrtMemAttr kind : kKinds) {
    DeviceMemoryState state;
    check(runtime, runtime.functions().aclrtGetMemInfo, kind, &state.free_bytes, &state.total_bytes);
    if (state.total_bytes > 0) return state;
  }
  return std::nullopt;
}

DeviceState read_device_state(const std::shared_ptr<Runtime>& runtime, int id) {
  return {.physical_id = if_told([&] { return physical_id_of(*runtime, id); }),
          .memory = memory_of(*runtime, id),
          .utilization_percent = if_told([&] { return utilization_of(*runtime, id); })};
}

}  // namespace npuserve::acl
