// aclrt*Event*.
#include <chrono>
#include <string>

#include "emulator/context.h"
#include "emulator/device.h"
#include "emulator/errors.h"
#include "emulator/event.h"
#include "emulator/exports.h"
#include "emulator/lifetime.h"
#include "emulator/timeouts.h"

namespace emulator {
namespace {

// Of an Atlas A2 device. Extended events take none of them.
constexpr std::size_t kMostEvents = 65536;

std::atomic<std::uint32_t> op_wait_seconds{0};

std::shared_ptr<Event> require_event(aclrtEvent handle) {
  require_initialized();
  require(handle != nullptr, ACL_ERROR_INVALID_PARAM, "the event is NULL");
  std::shared_ptr<Event> event = events().find(handle);
  require(event != nullptr, ACL_ERROR_RT_INVALID_HANDLE,
          "the event is not a live event (destroyed, or of another kind)");
  return event;
}

void create(aclrtEvent* handle, Event::Kind kind, std::uint32_t flags) {
  constexpr std::uint32_t kFlags = ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS | ACL_EVENT_TIME_LINE;
  require(handle != nullptr, ACL_ERROR_INVALID_PARAM, "event is NULL");
  const Context& context = require_context();
  require((flags & ~kFlags) == 0, ACL_ERROR_RT_PARAM_INVALID,
          "the flag is not of ACL_EVENT_SYNC, ACL_EVENT_CAPTURE_STREAM_PROGRESS, ACL_EVENT_TIME_LINE");
  require(kind == Event::Kind::extended || events().size() < kMostEvents, ACL_ERROR_RT_NO_EVENT_RESOURCE,
          "the device has no event left of its 65536");
  *handle = events().create(std::make_shared<Event>(kind, flags, context.device()));
}

void wait_in_stream(aclrtStream stream_handle, aclrtEvent event_handle, std::uint32_t seconds) {
  const std::shared_ptr<Event> event = require_event(event_handle);
  const std::shared_ptr<Stream> stream = require_own_stream(stream_handle, require_context());
  require(event->can_be_waited_for(), ACL_ERROR_RT_PARAM_INVALID, "the event was created without ACL_EVENT_SYNC");
  const std::shared_ptr<Capture> capture = event->latest();
  require(capture != nullptr || event->kind() != Event::Kind::with_flag, ACL_ERROR_RT_PARAM_INVALID,
          "the event was never recorded: on the device the stream would wait for ever");
  if (capture == nullptr) return;
  const Timeout timeout = seconds == 0 ? Timeout() : Timeout(std::chrono::seconds(seconds));
  stream->enqueue([capture, timeout, stop = stream->stop_token()] {
    if (capture->reached.wait(timeout, stop) || stop.stop_requested()) return ACL_SUCCESS;
    return fail(ACL_ERROR_RT_WAIT_TIMEOUT, "the time is over and the event was not reached");
  });
}

void synchronize(const Event& event, Timeout timeout) {
  require_outside_callback();
  const std::shared_ptr<Capture> capture = event.latest();
  if (capture == nullptr) return;
  require(capture->reached.wait(timeout), ACL_ERROR_RT_EVENT_SYNC_TIMEOUT,
          "the time is over and the event was not reached");
  if (const std::shared_ptr<Stream> stream = capture->stream.lock()) {
    Failure failure = stream->take_failure(capture->ticket);
    if (failure.code != ACL_SUCCESS) throw Refusal(std::move(failure));
  }
  require(capture->time_us.load() != 0, ACL_ERROR_RT_STREAM_ABORT, "the stream dropped its work before the event");
}

bool is_complete(const Event& event) {
  const std::shared_ptr<Capture> capture = event.latest();
  if (capture == nullptr) return event.kind() == Event::Kind::extended;
  return capture->reached.fired();
}

std::shared_ptr<Capture> require_recorded(const Event& event) {
  std::shared_ptr<Capture> capture = event.latest();
  require(capture != nullptr, ACL_ERROR_RT_INTERNAL_ERROR, "the event was never recorded");
  return capture;
}

std::uint64_t require_timestamp(const Event& event) {
  const std::shared_ptr<Capture> capture = require_recorded(event);
  require(event.has_timeline(), ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID,
          "the event was created without ACL_EVENT_TIME_LINE");
  const std::uint64_t time = capture->time_us.load();
  require(time != 0, ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "the event was not reached yet");
  return time;
}

}  // namespace
}  // namespace emulator

using namespace emulator;

aclError aclrtCreateEvent(aclrtEvent* event) {
  return exported(__func__, [&] { create(event, Event::Kind::plain, 0); });
}

aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) {
  return exported(__func__, [&] { create(event, Event::Kind::with_flag, flag); });
}

aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) {
  return exported(__func__, [&] { create(event, Event::Kind::extended, flag); });
}

aclError aclrtDestroyEvent(aclrtEvent event) {
  return exported(__func__, [&] {
    require_event(event);
    events().destroy(event);
  });
}

aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream) {
  return exported(__func__, [&] {
    const std::shared_ptr<Event> recorded = require_event(event);
    recorded->record(require_own_stream(stream, require_context()));
  });
}

aclError aclrtResetEvent(aclrtEvent event, aclrtStream stream) {
  return exported(__func__, [&] {
    const std::shared_ptr<Event> reset = require_event(event);
    require(reset->kind() == Event::Kind::with_flag && reset->has(ACL_EVENT_SYNC), ACL_ERROR_RT_PARAM_INVALID,
            "only events of aclrtCreateEventWithFlag with ACL_EVENT_SYNC can be reset");
    require_own_stream(stream, require_context())->enqueue([reset] {
      reset->reset();
      return ACL_SUCCESS;
    });
  });
}

aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event) {
  return exported(__func__, [&] { wait_in_stream(stream, event, op_wait_seconds.load()); });
}

aclError aclrtStreamWaitEventWithTimeout(aclrtStream stream, aclrtEvent event, int32_t timeout) {
  return exported(__func__, [&] {
    require(timeout >= 0, ACL_ERROR_RT_PARAM_INVALID, "the timeout is negative");
    wait_in_stream(stream, event, static_cast<std::uint32_t>(timeout));
  });
}

aclError aclrtSetOpWaitTimeout(uint32_t timeout) {
  return exported(__func__, [&] {
    require_initialized();
    op_wait_seconds.store(timeout);
  });
}

aclError aclrtQueryEventStatus(aclrtEvent event, aclrtEventRecordedStatus* status) {
  return exported(__func__, [&] {
    require(status != nullptr, ACL_ERROR_INVALID_PARAM, "status is NULL");
    *status =
        is_complete(*require_event(event)) ? ACL_EVENT_RECORDED_STATUS_COMPLETE : ACL_EVENT_RECORDED_STATUS_NOT_READY;
  });
}

aclError aclrtQueryEvent(aclrtEvent event, aclrtEventStatus* status) {
  return exported(__func__, [&] {
    require(status != nullptr, ACL_ERROR_INVALID_PARAM, "status is NULL");
    const std::shared_ptr<Event> queried = require_event(event);
    require(queried->kind() != Event::Kind::extended, ACL_ERROR_RT_PARAM_INVALID,
            "events of aclrtCreateEventExWithFlag are asked with aclrtQueryEventStatus");
    *status = is_complete(*queried) ? ACL_EVENT_STATUS_COMPLETE : ACL_EVENT_STATUS_NOT_READY;
  });
}

aclError aclrtSynchronizeEvent(aclrtEvent event) {
  return exported(__func__, [&] { synchronize(*require_event(event), std::nullopt); });
}

aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t timeout) {
  return exported(__func__, [&] { synchronize(*require_event(event), require_timeout(timeout)); });
}

aclError aclrtEventElapsedTime(float* ms, aclrtEvent start_event, aclrtEvent end_event) {
  return exported(__func__, [&] {
    require(ms != nullptr, ACL_ERROR_INVALID_PARAM, "ms is NULL");
    const std::shared_ptr<Event> first = require_event(start_event);
    const std::shared_ptr<Event> last = require_event(end_event);
    const std::weak_ptr<Stream> stream = require_recorded(*first)->stream;
    const std::weak_ptr<Stream> other = require_recorded(*last)->stream;
    require(!stream.owner_before(other) && !other.owner_before(stream), ACL_ERROR_RT_PARAM_INVALID,
            "the events were recorded on different streams");
    const std::uint64_t start = require_timestamp(*first);
    const std::uint64_t end = require_timestamp(*last);
    require(start <= end, ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL, "the end event was reached before the start event");
    *ms = static_cast<float>(end - start) / 1000.0F;
  });
}

aclError aclrtEventGetTimestamp(aclrtEvent event, uint64_t* timestamp) {
  return exported(__func__, [&] {
    require(timestamp != nullptr, ACL_ERROR_INVALID_PARAM, "timestamp is NULL");
    *timestamp = require_timestamp(*require_event(event));
  });
}
