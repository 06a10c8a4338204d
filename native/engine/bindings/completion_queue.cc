#include "engine/bindings/completion_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace npuserve::engine::bindings {

LentBuffers::~LentBuffers() {
  if (buffers_.empty()) return;
  const PyGILState_STATE gil = PyGILState_Ensure();
  for (const std::unique_ptr<Py_buffer>& buffer : buffers_) PyBuffer_Release(buffer.get());
  PyGILState_Release(gil);
}

const Py_buffer* LentBuffers::lend(PyObject* exporter, int flags) {
  auto buffer = std::make_unique<Py_buffer>();
  buffers_.reserve(buffers_.size() + 1);  // so that what is exported is also kept
  if (PyObject_GetBuffer(exporter, buffer.get(), flags) != 0) return nullptr;
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

QueuedCompletion::QueuedCompletion(CompletionQueue& queue, uint64_t token, LentBuffers lent,
                                   std::vector<std::optional<Destination>> destinations)
    : queue_(queue), destinations_(std::move(destinations)), lent_(std::move(lent)) {
  request_.token = token;
}

const std::optional<Destination>& QueuedCompletion::destination_of(size_t output) const {
  static const std::optional<Destination> none;
  return destinations_.empty() ? none : destinations_[output];
}

// Before anything is written: a request that fails leaves all memory as it was.
core::Status QueuedCompletion::check_destinations(std::span<const core::OutputView> outputs) const {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::optional<Destination>& destination = destination_of(i);
    if (!destination || destination->memory.size() >= outputs[i].size_bytes()) continue;
    return {core::StatusCode::kInternal,
            "shared memory size specified with the request for output '" + std::string(destination->output) + "' (" +
                std::to_string(destination->memory.size()) + " bytes) should be at least " +
                std::to_string(outputs[i].size_bytes()) + " bytes to hold the results"};
  }
  return {};
}

core::Status QueuedCompletion::receive(std::span<const core::OutputView> outputs) noexcept {
  try {
    core::Status status = check_destinations(outputs);
    if (!status.ok()) return status;
    size_t total_bytes = 0;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const size_t bytes = destination_of(i) ? 0 : outputs[i].size_bytes();
      const std::span<const int64_t> shape = outputs[i].shape();
      request_.outputs.push_back({{shape.begin(), shape.end()}, nullptr, total_bytes, bytes});
      total_bytes += bytes;
    }
    const auto block = std::make_shared_for_overwrite<std::byte[]>(total_bytes);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const std::optional<Destination>& destination = destination_of(i);
      outputs[i].copy_to(destination ? destination->memory.data() : block.get() + request_.outputs[i].offset);
      request_.outputs[i].block = block;
    }
    return {};
  } catch (const std::bad_alloc&) {
    request_.outputs.clear();
    return {core::StatusCode::kInternal, "out of memory for the outputs"};
  }
}

void QueuedCompletion::complete(core::Status status, const core::Timing& timing) noexcept {
  request_.timing = timing;
  request_.status = std::move(status);
  queue_.push(std::move(request_), std::move(lent_));
}

}  // namespace npuserve::engine::bindings
