// aclrt*Stream*, but waiting for events.
#include "emulator/context.h"
#include "emulator/device.h"
#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/lifetime.h"
#include "emulator/stream.h"
#include "emulator/timeouts.h"

namespace emulator {
namespace {

void create(aclrtStream* stream) {
  require(stream != nullptr, ACL_ERROR_INVALID_PARAM, "stream is NULL");
  require_outside_callback();
  *stream = make_stream(require_context());
}

void destroy(aclrtStream handle, bool drop) {
  require_outside_callback();
  require(handle != nullptr, ACL_ERROR_INVALID_PARAM, "stream is NULL");
  Context& context = require_context();
  const std::shared_ptr<Stream> stream = require_own_stream(handle, context);
  require(stream.get() != &context.default_stream(), ACL_ERROR_RT_PARAM_INVALID,
          "a default stream ends with its context");
  streams().destroy(handle);
  stream->close(drop);
}

}  // namespace
}  // namespace emulator

using namespace emulator;

aclError aclrtCreateStream(aclrtStream* stream) {
  return exported(__func__, [&] { create(stream); });
}

aclError aclrtCreateStreamWithConfig(aclrtStream* stream, uint32_t priority, uint32_t flag) {
  return exported(__func__, [&] {
    constexpr std::uint32_t kFlags = ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC | ACL_STREAM_PERSISTENT |
                                     ACL_STREAM_HUGE | ACL_STREAM_CPU_SCHEDULE | ACL_STREAM_DEVICE_USE_ONLY;
    require(priority <= 7, ACL_ERROR_RT_PARAM_INVALID, "the priority is not of 0 to 7");
    require((flag & ~kFlags) == 0, ACL_ERROR_RT_PARAM_INVALID, "the flag has bits that mean nothing");
    create(stream);
  });
}

aclError aclrtDestroyStream(aclrtStream stream) {
  return exported(__func__, [&] { destroy(stream, false); });
}

aclError aclrtDestroyStreamForce(aclrtStream stream) {
  return exported(__func__, [&] { destroy(stream, true); });
}

aclError aclrtSynchronizeStream(aclrtStream stream) {
  return exported(__func__, [&] { require_stream(stream, require_context())->synchronize(); });
}

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t timeout) {
  return exported(__func__, [&] {
    const Timeout limit = require_timeout(timeout);
    require_stream(stream, require_context())->synchronize(limit);
  });
}

aclError aclrtStreamQuery(aclrtStream stream, aclrtStreamStatus* status) {
  return exported(__func__, [&] {
    require(status != nullptr, ACL_ERROR_INVALID_PARAM, "status is NULL");
    const std::shared_ptr<Stream> queried = require_stream(stream, require_context());
    const bool idle = queried->idle();
    Failure failure = queried->take_failure();
    if (failure.code != ACL_SUCCESS) throw Refusal(std::move(failure));
    *status = idle ? ACL_STREAM_STATUS_COMPLETE : ACL_STREAM_STATUS_NOT_READY;
  });
}

aclError aclrtSetStreamFailureMode(aclrtStream stream, uint64_t mode) {
  return exported(__func__, [&] {
    require(mode == ACL_CONTINUE_ON_FAILURE || mode == ACL_STOP_ON_FAILURE, ACL_ERROR_RT_PARAM_INVALID,
            "the mode is not ACL_CONTINUE_ON_FAILURE or ACL_STOP_ON_FAILURE");
    Context& context = require_stream(stream, require_context())->context();
    require(!context.stops_on_failure(), ACL_ERROR_RT_PARAM_INVALID, "the context's streams stop on failure already");
    if (mode == ACL_STOP_ON_FAILURE) context.stop_on_failure();
  });
}

aclError aclrtStreamAbort(aclrtStream stream) {
  return exported(__func__, [&] {
    require_outside_callback();
    require(stream != nullptr, ACL_ERROR_INVALID_PARAM, "stream is NULL");
    require_stream(stream, require_context())->abort();
  });
}

aclError aclrtGetStreamAvailableNum(uint32_t* stream_count) {
  return exported(__func__, [&] {
    require(stream_count != nullptr, ACL_ERROR_INVALID_PARAM, "streamCount is NULL");
    *stream_count = available_streams(require_context().device());
  });
}

aclError aclrtStreamGetId(aclrtStream stream, int32_t* stream_id) {
  return exported(__func__, [&] {
    require(stream_id != nullptr, ACL_ERROR_INVALID_PARAM, "streamId is NULL");
    *stream_id = require_stream(stream, require_context())->id();
  });
}
