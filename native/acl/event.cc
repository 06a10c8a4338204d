#include "acl/event.h"

#include "acl/call.h"

namespace npuserve::acl {
namespace {

// The extended kind takes no event id of the hardware's few and is made for being recorded again and again; releases
// that lack it have the plain kind.
Owned<void*> create_event(Runtime& runtime, bool timed) {
  const FunctionTable& table = runtime.functions();
  aclrtEvent event = nullptr;
  if (table.aclrtCreateEventExWithFlag) {
    check(runtime, table.aclrtCreateEventExWithFlag, &event,
          timed ? ACL_EVENT_SYNC | ACL_EVENT_TIME_LINE : ACL_EVENT_SYNC);
  } else {
    check(runtime, table.aclrtCreateEvent, &event);
  }
  return {runtime, event,
          [](Runtime& owner, void* handle) noexcept { release(owner, owner.functions().aclrtDestroyEvent, handle); }};
}

}  // namespace

Event::Event(Runtime& runtime, bool timed) : event_(create_event(runtime, timed)) {}

bool Event::can_time(const Runtime& runtime) { return static_cast<bool>(runtime.functions().aclrtEventElapsedTime); }

int64_t Event::elapsed_ns(const Event& start, const Event& end) {
  constexpr float kNsPerMs = 1e6F;
  Runtime& runtime = start.event_.runtime();
  float milliseconds = 0;
  check(runtime, runtime.functions().aclrtEventElapsedTime, &milliseconds, start.event_.get(), end.event_.get());
  return static_cast<int64_t>(milliseconds * kNsPerMs);
}

void Event::record(const Stream& stream) const {
  check(event_.runtime(), event_.runtime().functions().aclrtRecordEvent, event_.get(), stream.handle());
}

void Event::synchronize() const {
  check(event_.runtime(), event_.runtime().functions().aclrtSynchronizeEvent, event_.get());
}

}  // namespace npuserve::acl
