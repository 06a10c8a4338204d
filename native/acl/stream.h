// A device's queue of work: what is enqueued runs in order.
//
// Threads: any with the stream's context current; enqueueing on one stream from two threads at once is the caller's
// to prevent. synchronize() blocks.
#pragma once

#include "acl/owned.h"

namespace npuserve::acl {

class Stream {
 public:
  // Belongs to the calling thread's current context. Throws Error.
  explicit Stream(Runtime& runtime);

  // Waits for everything enqueued so far. Throws Error, also for what failed asynchronously since the last wait.
  void synchronize() const;

  [[nodiscard]] Runtime& runtime() const noexcept { return stream_.runtime(); }
  [[nodiscard]] void* handle() const noexcept { return stream_.get(); }

 private:
  Owned<void*> stream_;
};

}  // namespace npuserve::acl
