// aclrt*Context and the default context.
#include "emulator/context.h"
#include "emulator/device.h"
#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/lifetime.h"

using namespace emulator;

aclError aclrtCreateContext(aclrtContext* context, int32_t device_id) {
  return exported(__func__, [&] {
    require_initialized();
    require(context != nullptr, ACL_ERROR_INVALID_PARAM, "context is NULL");
    const std::shared_ptr<Context> created = make_context(device_id, false);
    set_current_context(created);
    *context = created->handle();
  });
}

aclError aclrtDestroyContext(aclrtContext context) {
  return exported(__func__, [&] {
    require_initialized();
    require_outside_callback();
    require(context != nullptr, ACL_ERROR_INVALID_PARAM, "context is NULL");
    const std::shared_ptr<Context> destroyed = contexts().find(context);
    require(destroyed != nullptr, ACL_ERROR_RT_INVALID_HANDLE, "the context is not a live context");
    require(!destroyed->primary(), ACL_ERROR_RT_PARAM_INVALID,
            "a default context is not destroyed but ended by aclrtResetDevice");
    end_context(destroyed, false);
  });
}

aclError aclrtSetCurrentContext(aclrtContext context) {
  return exported(__func__, [&] {
    require_initialized();
    require(context != nullptr, ACL_ERROR_INVALID_PARAM, "context is NULL");
    std::shared_ptr<Context> current = contexts().find(context);
    require(current != nullptr, ACL_ERROR_RT_CONTEXT_NULL, "the context was destroyed, or is of another kind");
    set_current_context(std::move(current));
  });
}

aclError aclrtGetCurrentContext(aclrtContext* context) {
  return exported(__func__, [&] {
    require(context != nullptr, ACL_ERROR_INVALID_PARAM, "context is NULL");
    *context = require_context().handle();
  });
}

aclError aclrtCtxGetCurrentDefaultStream(aclrtStream* stream) {
  return exported(__func__, [&] {
    require(stream != nullptr, ACL_ERROR_INVALID_PARAM, "stream is NULL");
    *stream = require_context().default_stream_handle();
  });
}

aclError aclrtGetPrimaryCtxState(int32_t device_id, uint32_t* flags, int32_t* active) {
  return exported(__func__, [&] {
    require_initialized();
    require(flags == nullptr, ACL_ERROR_INVALID_PARAM, "flags is reserved and must be NULL");
    require(active != nullptr, ACL_ERROR_INVALID_PARAM, "active is NULL");
    *active = in_use(device_id) ? 1 : 0;
  });
}
