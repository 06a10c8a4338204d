#include "acl/memory.h"

#include "acl/call.h"

namespace npuserve::acl {
namespace {

Owned<void*> allocate_device(Runtime& runtime, std::size_t size_bytes) {
  void* address = nullptr;
  check(runtime, runtime.functions().aclrtMalloc, &address, size_bytes, ACL_MEM_MALLOC_HUGE_FIRST);
  runtime.count_allocation();
  return {runtime, address,
          [](Runtime& owner, void* block) noexcept { release(owner, owner.functions().aclrtFree, block); }};
}

Owned<void*> allocate_pinned(Runtime& runtime, std::size_t size_bytes) {
  void* address = nullptr;
  check(runtime, runtime.functions().aclrtMallocHost, &address, size_bytes);
  runtime.count_allocation();
  return {runtime, address,
          [](Runtime& owner, void* block) noexcept { release(owner, owner.functions().aclrtFreeHost, block); }};
}

Owned<void*> register_pinned(Runtime& runtime, std::span<std::byte> memory) {
  void* const address = memory.data();
  check(runtime, runtime.functions().aclrtHostRegisterV2, address, memory.size(), ACL_HOST_REG_PINNED);
  return {runtime, address,
          [](Runtime& owner, void* block) noexcept { release(owner, owner.functions().aclrtHostUnregister, block); }};
}

}  // namespace

DeviceMemory::DeviceMemory(Runtime& runtime, std::size_t size_bytes)
    : memory_(allocate_device(runtime, size_bytes)), size_bytes_(size_bytes) {}

PinnedMemory::PinnedMemory(Runtime& runtime, std::size_t size_bytes)
    : memory_(allocate_pinned(runtime, size_bytes)), size_bytes_(size_bytes) {}

bool RegisteredMemory::can_register(const Runtime& runtime) {
  return runtime.functions().aclrtHostRegisterV2 && runtime.functions().aclrtHostUnregister;
}

RegisteredMemory::RegisteredMemory(Runtime& runtime, std::span<std::byte> memory)
    : registration_(register_pinned(runtime, memory)) {}

}  // namespace npuserve::acl
