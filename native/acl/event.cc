#include "acl/event.h"

#include "acl/call.h"

namespace npuserve::acl {
namespace {

// The extended kind takes no event id of the hardware's few and is made for being recorded again and again; releases
// that lack it have the plain kind.
Owned<void*> create_event(Runtime& runtime) {
  const FunctionTable& table = runtime.functions();
  aclrtEvent event = nullptr;
  if (table.aclrtCreateEventExWithFlag) {
    check(runtime, table.aclrtCreateEventExWithFlag, &event, ACL_EVENT_SYNC);
  } else {
    check(runtime, table.aclrtCreateEvent, &event);
  }
  return {runtime, event,
          [](Runtime& owner, void* handle) noexcept { release(owner, owner.functions().aclrtDestroyEvent, handle); }};
}

}  // namespace

Event::Event(Runtime& runtime) : event_(create_event(runtime)) {}

void Event::record(const Stream& stream) const {
  check(event_.runtime(), event_.runtime().functions().aclrtRecordEvent, event_.get(), stream.handle());
}

void Event::synchronize() const {
  check(event_.runtime(), event_.runtime().functions().aclrtSynchronizeEvent, event_.get());
}

}  // namespace npuserve::acl
