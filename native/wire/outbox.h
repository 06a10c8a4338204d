// Where the engine's threads leave what they have finished, and the loop that it wakes.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/mutex.h"
#include "wire/infer_call.h"

namespace npuserve::wire {

// push() on any thread; all else on the loop's.
class Outbox {
 public:
  // Throws std::system_error if the system gives no eventfd.
  Outbox();
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Wakes the loop unless it has been woken since it last took.
  void push(std::unique_ptr<InferCall> call) noexcept EXCLUDES_LOCK(mutex_);

  // Swaps all that is there, oldest first, into `calls`, which must be empty.
  void take(std::vector<std::unique_ptr<InferCall>>& calls) EXCLUDES_LOCK(mutex_);

  // Room for one more, so that push() cannot fail. Throws std::bad_alloc.
  void reserve(size_t calls) EXCLUDES_LOCK(mutex_);

  // Blocks until there is something to take.
  void wait() const;

  // Readable while there is something to take.
  int file_descriptor() const { return event_fd_; }

 private:
  const int event_fd_;
  core::Mutex mutex_;
  std::vector<std::unique_ptr<InferCall>> finished_ GUARDED_BY(mutex_);
};

}  // namespace npuserve::wire
