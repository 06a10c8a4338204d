#include "engine/bindings/completion_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

namespace npuserve::engine::bindings {

LentBuffers::~LentBuffers() {
  if (buffers_.empty()) return;
  const PyGILState_STATE gil = PyGILState_Ensure();
  for (const std::unique_ptr<Py_buffer>& buffer : buffers_) PyBuffer_Release(buffer.get());
  PyGILState_Release(gil);
}

const Py_buffer* LentBuffers::lend(PyObject* exporter) {
  auto buffer = std::make_unique<Py_buffer>();
  buffers_.reserve(buffers_.size() + 1);  // so that what is exported is also kept
  if (PyObject_GetBuffer(exporter, buffer.get(), PyBUF_C_CONTIGUOUS) != 0) return nullptr;
  return buffers_.emplace_back(std::move(buffer)).get();
}

CompletionQueue::CompletionQueue() : event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

CompletionQueue::~CompletionQueue() { close(); }

void CompletionQueue::push(FinishedRequest request, LentBuffers lent) {
  const core::MutexLock lock(mutex_);
  finished_.push_back(std::move(request));
  lent_.push_back(std::move(lent));
  // An eventfd that is already readable needs no second write: the reader takes all.
  if (finished_.size() == 1 && event_fd_ >= 0) eventfd_write(event_fd_, 1);
}

std::vector<FinishedRequest> CompletionQueue::drain(std::vector<LentBuffers>& lent) {
  const core::MutexLock lock(mutex_);
  if (!finished_.empty() && event_fd_ >= 0) {
    eventfd_t count = 0;
    eventfd_read(event_fd_, &count);
  }
  lent.swap(lent_);
  return std::exchange(finished_, {});
}

int CompletionQueue::file_descriptor() const {
  const core::MutexLock lock(mutex_);
  return event_fd_;
}

void CompletionQueue::close() {
  const core::MutexLock lock(mutex_);
  if (event_fd_ >= 0) ::close(std::exchange(event_fd_, -1));
}

QueuedCompletion::QueuedCompletion(CompletionQueue& queue, uint64_t token, LentBuffers lent)
    : queue_(queue), lent_(std::move(lent)) {
  request_.token = token;
}

core::Status QueuedCompletion::receive(std::span<const core::OutputView> outputs) noexcept {
  try {
    size_t total_bytes = 0;
    for (const core::OutputView& output : outputs) {
      const size_t bytes = output.size_bytes();
      request_.outputs.push_back({{output.shape().begin(), output.shape().end()}, nullptr, total_bytes, bytes});
      total_bytes += bytes;
    }
    const auto block = std::make_shared_for_overwrite<std::byte[]>(total_bytes);
    for (size_t i = 0; i < outputs.size(); ++i) {
      outputs[i].copy_to(block.get() + request_.outputs[i].offset);
      request_.outputs[i].block = block;
    }
    return {};
  } catch (const std::bad_alloc&) {
    request_.outputs.clear();
    return {core::StatusCode::kInternal, "out of memory for the outputs"};
  }
}

void QueuedCompletion::complete(core::Status status) noexcept {
  request_.status = std::move(status);
  queue_.push(std::move(request_), std::move(lent_));
}

}  // namespace npuserve::engine::bindings
