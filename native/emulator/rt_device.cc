// aclrt*Device*.
#include "emulator/context.h"
#include "emulator/device.h"
#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/lifetime.h"
#include "emulator/settings.h"
#include "emulator/timeouts.h"

namespace emulator {
namespace {

void require_any_device(std::int64_t device) {
  require_initialized();
  require(device <= INT32_MAX, ACL_ERROR_RT_INVALID_DEVICEID, "the device id is too large");
  require_device(static_cast<std::int32_t>(device));
}

void same_device(std::int32_t device, std::int32_t* other) {
  require_any_device(device);
  require(other != nullptr, ACL_ERROR_INVALID_PARAM, "the result is NULL");
  *other = device;
}

// An Ascend 910B3's.
std::int64_t attribute(aclrtDevAttr attr) {
  switch (attr) {
    case ACL_DEV_ATTR_AICPU_CORE_NUM:
      return 6;
    case ACL_DEV_ATTR_AICORE_CORE_NUM:
    case ACL_DEV_ATTR_CUBE_CORE_NUM:
      return 20;
    case ACL_DEV_ATTR_VECTOR_CORE_NUM:
      return 40;
    case ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE:
      return static_cast<std::int64_t>(settings().memory_bytes);
    case ACL_DEV_ATTR_L2_CACHE_SIZE:
      return std::int64_t{192} << 20;
    case ACL_DEV_ATTR_IS_VIRTUAL:
      return 0;
  }
  refuse(ACL_ERROR_INVALID_PARAM, "the attribute is not known");
}

}  // namespace
}  // namespace emulator

using namespace emulator;

aclError aclrtGetDeviceCount(uint32_t* count) {
  return exported(__func__, [&] {
    require_initialized();
    require(count != nullptr, ACL_ERROR_INVALID_PARAM, "count is NULL");
    *count = static_cast<std::uint32_t>(settings().device_count);
  });
}

aclError aclrtSetDevice(int32_t device_id) {
  return exported(__func__, [&] {
    require_initialized();
    use_device(device_id);
  });
}

aclError aclrtResetDevice(int32_t device_id) {
  return exported(__func__, [&] {
    require_initialized();
    require_outside_callback();
    leave_device(device_id, false);
  });
}

aclError aclrtResetDeviceForce(int32_t device_id) {
  return exported(__func__, [&] {
    require_initialized();
    require_outside_callback();
    leave_device(device_id, true);
  });
}

aclError aclrtGetDevice(int32_t* device_id) {
  return exported(__func__, [&] {
    require(device_id != nullptr, ACL_ERROR_INVALID_PARAM, "deviceId is NULL");
    *device_id = require_context().device();
  });
}

aclError aclrtGetRunMode(aclrtRunMode* run_mode) {
  return exported(__func__, [&] {
    require(run_mode != nullptr, ACL_ERROR_INVALID_PARAM, "runMode is NULL");
    *run_mode = ACL_HOST;
  });
}

aclError aclrtSynchronizeDevice() {
  return exported(__func__, [&] { synchronize_device(require_context().device(), std::nullopt); });
}

aclError aclrtSynchronizeDeviceWithTimeout(int32_t timeout) {
  return exported(__func__, [&] {
    const Timeout limit = require_timeout(timeout);
    synchronize_device(require_context().device(), limit);
  });
}

aclError aclrtQueryDeviceStatus(int32_t device_id, aclrtDeviceStatus* device_status) {
  return exported(__func__, [&] {
    require_any_device(device_id);
    require(device_status != nullptr, ACL_ERROR_INVALID_PARAM, "deviceStatus is NULL");
    *device_status = ACL_RT_DEVICE_STATUS_NORMAL;
  });
}

aclError aclrtGetDeviceUtilizationRate(int32_t device_id, aclrtUtilizationInfo* utilization_info) {
  return exported(__func__, [&] {
    require_any_device(device_id);
    require(utilization_info != nullptr, ACL_ERROR_INVALID_PARAM, "utilizationInfo is NULL");
    require(utilization_info->utilizationExtend == nullptr, ACL_ERROR_INVALID_PARAM,
            "utilizationExtend is reserved and must be NULL");
    constexpr std::int32_t kNotAvailable = -1;
    utilization_info->cubeUtilization = kNotAvailable;
    utilization_info->vectorUtilization = kNotAvailable;
    utilization_info->aicpuUtilization = kNotAvailable;
    utilization_info->memoryUtilization = kNotAvailable;
  });
}

aclError aclrtGetDeviceInfo(uint32_t device_id, aclrtDevAttr attr, int64_t* value) {
  return exported(__func__, [&] {
    require_any_device(device_id);
    require(value != nullptr, ACL_ERROR_INVALID_PARAM, "value is NULL");
    *value = attribute(attr);
  });
}

aclError aclrtGetPhyDevIdByLogicDevId(int32_t logic_dev_id, int32_t* phy_dev_id) {
  return exported(__func__, [&] { same_device(logic_dev_id, phy_dev_id); });
}

aclError aclrtGetLogicDevIdByPhyDevId(int32_t phy_dev_id, int32_t* logic_dev_id) {
  return exported(__func__, [&] { same_device(phy_dev_id, logic_dev_id); });
}

aclError aclrtDeviceGetStreamPriorityRange(int32_t* least_priority, int32_t* greatest_priority) {
  return exported(__func__, [&] {
    require_context();
    require(least_priority != nullptr && greatest_priority != nullptr, ACL_ERROR_INVALID_PARAM, "a result is NULL");
    *least_priority = 7;
    *greatest_priority = 0;
  });
}
