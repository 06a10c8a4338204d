#include "emulator/context.h"

#include <optional>
#include <utility>

#include "emulator/config.h"
#include "emulator/device.h"
#include "emulator/errors.h"
#include "emulator/lifetime.h"
#include "emulator/per_thread.h"

namespace emulator {
namespace {

struct Current {
  std::shared_ptr<Context> context;
};

}  // namespace

Context::Context(int device, bool primary, std::int32_t default_stream_id)
    : handle_(next_handle()),
      default_stream_handle_(next_handle()),
      device_(device),
      primary_(primary),
      default_stream_(*this, default_stream_id) {}

std::shared_ptr<Context> shared_current_context() { return per_thread<Current>().context; }

Context* current_context() { return per_thread<Current>().context.get(); }

void set_current_context(std::shared_ptr<Context> context) { per_thread<Current>().context = std::move(context); }

Context& require_context() {
  require_initialized();
  const std::optional<std::int32_t>& default_device = config().default_device;
  if (current_context() == nullptr && default_device) use_device(*default_device);
  Context* const context = current_context();
  require(context != nullptr, ACL_ERROR_RT_CONTEXT_NULL,
          "the thread has no current context: call aclrtSetDevice or aclrtSetCurrentContext in it");
  require(!context->destroyed(), ACL_ERROR_RT_CONTEXT_NULL,
          "the thread's current context was destroyed, or its device reset");
  return *context;
}

}  // namespace emulator
