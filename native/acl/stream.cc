#include "acl/stream.h"

#include "acl/call.h"

namespace npuserve::acl {
namespace {

Owned<void*> create_stream(Runtime& runtime) {
  aclrtStream stream = nullptr;
  check(runtime, runtime.functions().aclrtCreateStream, &stream);
  return {runtime, stream,
          [](Runtime& owner, void* handle) noexcept { release(owner, owner.functions().aclrtDestroyStream, handle); }};
}

}  // namespace

Stream::Stream(Runtime& runtime) : stream_(create_stream(runtime)) {}

void Stream::synchronize() const { check(runtime(), runtime().functions().aclrtSynchronizeStream, handle()); }

}  // namespace npuserve::acl
