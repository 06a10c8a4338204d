// Where native threads leave completions for Python, and the loop that it wakes.
#pragma once

#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/completion.h"
#include "core/mutex.h"

namespace npuserve::engine::bindings {

// Python buffers that a request reads from, exported until this is destroyed.
class LentBuffers {
 public:
  LentBuffers() = default;
  LentBuffers(LentBuffers&&) noexcept = default;
  LentBuffers& operator=(LentBuffers&&) = delete;

  // Takes the GIL if there is anything to release: a Python thread's business only. A native thread hands its buffers
  // to the queue, whose drain() releases them.
  ~LentBuffers();

  // Exports the object's C-contiguous bytes; null with Python's error set if it cannot. Requires the GIL.
  const Py_buffer* lend(PyObject* exporter, int flags = PyBUF_C_CONTIGUOUS);

 private:
  std::vector<std::unique_ptr<Py_buffer>> buffers_;  // each in place: an exporter may keep its address
};

// Where an output goes instead of the completion. The memory is lent like an input's.
struct Destination {
  std::string_view output;  // its name, the model's
  std::span<std::byte> memory;
};

// One output of a completion: bytes of a block that all outputs of the completion share; none if it has a destination.
struct Output {
  std::vector<int64_t> shape;
  std::shared_ptr<std::byte[]> block;  // shared with the memoryviews that Python makes of it
  size_t offset = 0;
  size_t size_bytes = 0;
};

struct FinishedRequest {
  uint64_t token = 0;
  core::Status status;
  core::Timing timing;
  std::vector<Output> outputs;
};

// Any thread; native threads never need the GIL for it.
class CompletionQueue {
 public:
  CompletionQueue();
  ~CompletionQueue();
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  // Wakes the reader unless it has been woken since its last drain.
  void push(FinishedRequest request, LentBuffers lent) EXCLUDES_LOCK(mutex_);

  // Takes everything, oldest first. `lent` receives the requests' buffers, to be destroyed with the GIL held.
  std::vector<FinishedRequest> drain(std::vector<LentBuffers>& lent) EXCLUDES_LOCK(mutex_);

  // The eventfd; -1 once closed.
  int file_descriptor() const EXCLUDES_LOCK(mutex_);

  // Closes the eventfd. What completes later can still be drained, but wakes nobody. Idempotent.
  void close() EXCLUDES_LOCK(mutex_);

 private:
  mutable core::Mutex mutex_;
  int event_fd_ GUARDED_BY(mutex_);
  std::vector<FinishedRequest> finished_ GUARDED_BY(mutex_);
  std::vector<LentBuffers> lent_ GUARDED_BY(mutex_);
};

// A request's way back to Python. The queue must outlive it.
class QueuedCompletion final : public core::Completion {
 public:
  // destinations: none, or for each output one or none.
  QueuedCompletion(CompletionQueue& queue, uint64_t token, LentBuffers lent,
                   std::vector<std::optional<Destination>> destinations = {});

  core::Status receive(std::span<const core::OutputView> outputs) noexcept override;
  void complete(core::Status status, const core::Timing& timing) noexcept override;

 private:
  const std::optional<Destination>& destination_of(size_t output) const;
  core::Status check_destinations(std::span<const core::OutputView> outputs) const;

  CompletionQueue& queue_;
  const std::vector<std::optional<Destination>> destinations_;
  FinishedRequest request_;
  LentBuffers lent_;
};

}  // namespace npuserve::engine::bindings
