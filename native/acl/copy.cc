#include "acl/copy.h"

#include "acl/call.h"

namespace npuserve::acl {
namespace {

aclrtMemcpyKind vendor_kind(CopyKind kind) {
  switch (kind) {
    case CopyKind::kHostToDevice:
      return ACL_MEMCPY_HOST_TO_DEVICE;
    case CopyKind::kDeviceToHost:
      return ACL_MEMCPY_DEVICE_TO_HOST;
    case CopyKind::kDeviceToDevice:
      break;
  }
  return ACL_MEMCPY_DEVICE_TO_DEVICE;
}

}  // namespace

void copy_async(void* target, std::size_t target_size_bytes, const void* source, std::size_t size_bytes, CopyKind kind,
                const Stream& stream) {
  check(stream.runtime(), stream.runtime().functions().aclrtMemcpyAsync, target, target_size_bytes, source, size_bytes,
        vendor_kind(kind), stream.handle());
}

void copy(Runtime& runtime, void* target, std::size_t target_size_bytes, const void* source, std::size_t size_bytes,
          CopyKind kind) {
  check(runtime, runtime.functions().aclrtMemcpy, target, target_size_bytes, source, size_bytes, vendor_kind(kind));
}

}  // namespace npuserve::acl
