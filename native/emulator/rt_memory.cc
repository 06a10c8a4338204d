// Allocation, registration and what is known of memory.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "emulator/arena.h"
#include "emulator/context.h"
#include "emulator/device.h"
#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/lifetime.h"
#include "emulator/settings.h"

namespace emulator {
namespace {

constexpr std::uintptr_t kRegistrationAlignment = 4096;

bool is_single_policy(aclrtMemMallocPolicy policy) {
  switch (policy) {
    case ACL_MEM_MALLOC_HUGE_FIRST:
    case ACL_MEM_MALLOC_HUGE_ONLY:
    case ACL_MEM_MALLOC_NORMAL_ONLY:
    case ACL_MEM_MALLOC_HUGE_FIRST_P2P:
    case ACL_MEM_MALLOC_HUGE_ONLY_P2P:
    case ACL_MEM_MALLOC_NORMAL_ONLY_P2P:
    case ACL_MEM_MALLOC_HUGE1G_ONLY:
    case ACL_MEM_MALLOC_HUGE1G_ONLY_P2P:
    case ACL_MEM_TYPE_LOW_BAND_WIDTH:
    case ACL_MEM_TYPE_HIGH_BAND_WIDTH:
    case ACL_MEM_ACCESS_USER_SPACE_READONLY:
      return true;
  }
  return false;
}

Padding padding_of(aclrtMemMallocPolicy policy) {
  const bool whole_gigabytes = policy == ACL_MEM_MALLOC_HUGE1G_ONLY || policy == ACL_MEM_MALLOC_HUGE1G_ONLY_P2P;
  return whole_gigabytes ? Padding::none : Padding::tensor;
}

void allocate_device(void** address, std::size_t bytes, aclrtMemMallocPolicy policy, Padding padding) {
  require(address != nullptr, ACL_ERROR_INVALID_PARAM, "devPtr is NULL");
  require(bytes != 0, ACL_ERROR_INVALID_PARAM, "the size is 0");
  require(is_single_policy(policy), ACL_ERROR_INVALID_PARAM, "the policy is not one value of aclrtMemMallocPolicy");
  const Context& context = require_context();
  require_outside_callback();
  *address = allocate(context.device(), bytes, padding);
}

void free_device(void* address) {
  require_initialized();
  require(address != nullptr, ACL_ERROR_INVALID_PARAM, "devPtr is NULL");
  require_outside_callback();
  release(address);
}

void register_memory(void* address, std::uint64_t bytes, bool pinned) {
  require_context();
  require(address != nullptr, ACL_ERROR_INVALID_PARAM, "ptr is NULL");
  require(bytes != 0, ACL_ERROR_INVALID_PARAM, "the size is 0");
  require(reinterpret_cast<std::uintptr_t>(address) % kRegistrationAlignment == 0, ACL_ERROR_RT_ADDR_UNALIGNED,
          "ptr is not aligned to 4096 bytes");
  require(locate(address) != Where::device, ACL_ERROR_RT_PARAM_INVALID, "ptr is device memory");
  register_host(address, bytes, pinned);
}

aclrtMemLocation location(const void* address, int current_device) {
  switch (locate(address)) {
    case Where::device: {
      const std::optional<Block> block = find_block(address);
      if (!block) refuse(ACL_ERROR_RT_PARAM_INVALID, "the address is not within a live device allocation");
      return {static_cast<std::uint32_t>(block->device), ACL_MEM_LOCATION_TYPE_DEVICE};
    }
    case Where::pinned_host:
    case Where::registered_host:
      return {static_cast<std::uint32_t>(current_device), ACL_MEM_LOCATION_TYPE_HOST};
    case Where::pageable:
      break;
  }
  return {0, ACL_MEM_LOCATION_TYPE_UNREGISTERED};
}

}  // namespace
}  // namespace emulator

using namespace emulator;

aclError aclrtMalloc(void** dev_ptr, size_t size, aclrtMemMallocPolicy policy) {
  return exported(__func__, [&] { allocate_device(dev_ptr, size, policy, padding_of(policy)); });
}

aclError aclrtMallocAlign32(void** dev_ptr, size_t size, aclrtMemMallocPolicy policy) {
  return exported(__func__, [&] { allocate_device(dev_ptr, size, policy, Padding::none); });
}

aclError aclrtMallocCached(void** dev_ptr, size_t size, aclrtMemMallocPolicy policy) {
  return exported(__func__, [&] { allocate_device(dev_ptr, size, policy, padding_of(policy)); });
}

aclError aclrtFree(void* dev_ptr) {
  return exported(__func__, [&] { free_device(dev_ptr); });
}

aclError aclrtFreeWithDevSync(void* dev_ptr) {
  return exported(__func__, [&] {
    synchronize_device(require_context().device(), std::nullopt);
    free_device(dev_ptr);
  });
}

aclError aclrtMallocHost(void** host_ptr, size_t size) {
  return exported(__func__, [&] {
    require(host_ptr != nullptr, ACL_ERROR_INVALID_PARAM, "hostPtr is NULL");
    require(size != 0, ACL_ERROR_INVALID_PARAM, "the size is 0");
    require_context();
    require_outside_callback();
    *host_ptr = allocate_host(size);
  });
}

aclError aclrtFreeHost(void* host_ptr) {
  return exported(__func__, [&] {
    require_initialized();
    require(host_ptr != nullptr, ACL_ERROR_INVALID_PARAM, "hostPtr is NULL");
    require_outside_callback();
    release_host(host_ptr);
  });
}

aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t* free, size_t* total) {
  return exported(__func__, [&] {
    const Context& context = require_context();
    require(free != nullptr && total != nullptr, ACL_ERROR_INVALID_PARAM, "free or total is NULL");
    require(attr >= ACL_DDR_MEM && attr <= ACL_MEM_HUGE, ACL_ERROR_INVALID_PARAM, "the memory attribute is not known");
    const bool is_ddr = attr == ACL_DDR_MEM || attr == ACL_DDR_MEM_HUGE || attr == ACL_DDR_MEM_NORMAL;
    const MemoryInfo info =
        is_ddr ? MemoryInfo{} : memory_info(context.device());  // the card has high-bandwidth memory only
    *free = info.free_bytes;
    *total = info.total_bytes;
  });
}

aclError aclrtGetMemUsageInfo(int32_t device_id, aclrtMemUsageInfo* mem_usage_info, size_t input_num,
                              size_t* output_num) {
  return exported(__func__, [&] {
    require_initialized();
    require_device(device_id);
    require(mem_usage_info != nullptr && output_num != nullptr && input_num != 0, ACL_ERROR_INVALID_PARAM,
            "there is no room for the result");
    const MemoryInfo info = memory_info(device_id);
    mem_usage_info[0] = {};
    std::strcpy(mem_usage_info[0].name, "APP");
    mem_usage_info[0].curMemSize = info.total_bytes - info.free_bytes;
    mem_usage_info[0].memPeakSize = info.peak_bytes;
    *output_num = 1;
  });
}

aclError aclrtPointerGetAttributes(const void* ptr, aclrtPtrAttributes* attributes) {
  return exported(__func__, [&] {
    const Context& context = require_context();
    require(ptr != nullptr && attributes != nullptr, ACL_ERROR_INVALID_PARAM, "ptr or attributes is NULL");
    *attributes = {};
    attributes->location = location(ptr, context.device());
    attributes->pageSize = 4096;
  });
}

aclError aclrtHostRegister(void* ptr, uint64_t size, aclrtHostRegisterType type, void** dev_ptr) {
  return exported(__func__, [&] {
    require(dev_ptr != nullptr, ACL_ERROR_INVALID_PARAM, "devPtr is NULL");
    require(type == ACL_HOST_REGISTER_MAPPED, ACL_ERROR_INVALID_PARAM, "the type is not ACL_HOST_REGISTER_MAPPED");
    register_memory(ptr, size, false);
    *dev_ptr = ptr;
  });
}

aclError aclrtHostRegisterV2(void* ptr, uint64_t size, uint32_t flag) {
  return exported(__func__, [&] {
    constexpr std::uint32_t kFlags =
        ACL_HOST_REG_MAPPED | ACL_HOST_REG_IOMEMORY | ACL_HOST_REG_READONLY | ACL_HOST_REG_PINNED;
    require(flag != 0 && (flag & ~kFlags) == 0, ACL_ERROR_INVALID_PARAM, "the flag is not made of ACL_HOST_REG values");
    register_memory(ptr, size, (flag & ACL_HOST_REG_PINNED) != 0);
  });
}

aclError aclrtHostGetDevicePointer(void* p_host, void** p_device, uint32_t flag) {
  return exported(__func__, [&] {
    require_context();
    require(p_host != nullptr && p_device != nullptr, ACL_ERROR_INVALID_PARAM, "pHost or pDevice is NULL");
    require(flag == 0, ACL_ERROR_INVALID_PARAM, "the flag is reserved and must be 0");
    require(is_registered(p_host), ACL_ERROR_HOST_MEMORY_NOT_REGISTERED, "the memory is not registered");
    *p_device = p_host;
  });
}

aclError aclrtHostUnregister(void* ptr) {
  return exported(__func__, [&] {
    require_context();
    require(ptr != nullptr, ACL_ERROR_INVALID_PARAM, "ptr is NULL");
    require_outside_callback();
    unregister_host(ptr);
  });
}
