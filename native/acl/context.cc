#include "acl/context.h"

#include "acl/call.h"

namespace npuserve::acl {
namespace {

// Counted before the driver is asked: a user that is not counted would let somebody else start the device.
Owned<std::int32_t> set_device(Runtime& runtime, std::int32_t id) {
  runtime.count_device_user(id);
  try {
    check(runtime, runtime.functions().aclrtSetDevice, id);
  } catch (...) {
    runtime.forget_device_user(id);
    throw;
  }
  return {runtime, id, [](Runtime& owner, std::int32_t device) noexcept {
            owner.forget_device_user(device);
            release(owner, owner.functions().aclrtResetDevice, device);
          }};
}

Owned<void*> create_context(Runtime& runtime, std::int32_t device) {
  aclrtContext context = nullptr;
  check(runtime, runtime.functions().aclrtCreateContext, &context, device);
  return {runtime, context,
          [](Runtime& owner, void* handle) noexcept { release(owner, owner.functions().aclrtDestroyContext, handle); }};
}

}  // namespace

Device::Device(Runtime& runtime, int id) : device_(set_device(runtime, id)) {}

Context::Context(const std::shared_ptr<Runtime>& runtime, int device)
    : device_(*runtime, device), context_(create_context(*runtime, device)) {}

void Context::make_current() const { check(runtime(), runtime().functions().aclrtSetCurrentContext, context_.get()); }

}  // namespace npuserve::acl
