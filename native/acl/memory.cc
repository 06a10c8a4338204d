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

}  // namespace

DeviceMemory::DeviceMemory(Runtime& runtime, std::size_t size_bytes)
    : memory_(allocate_device(runtime, size_bytes)), size_bytes_(size_bytes) {}

PinnedMemory::PinnedMemory(Runtime& runtime, std::size_t size_bytes)
    : memory_(allocate_pinned(runtime, size_bytes)), size_bytes_(size_bytes) {}

}  // namespace npuserve::acl
