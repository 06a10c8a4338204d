// Contexts: what owns streams, current for a thread. Every thread starts with none.
#pragma once

#include <atomic>
#include <memory>

#include "acl/abi.h"
#include "emulator/stream.h"

namespace emulator {

class Context {
 public:
  Context(int device, bool primary);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int device() const { return device_; }
  bool primary() const { return primary_; }  // made by aclrtSetDevice, not by aclrtCreateContext
  aclrtContext handle() const { return handle_; }
  Stream& default_stream() const { return *default_stream_; }
  std::shared_ptr<Stream> shared_default_stream() const { return default_stream_; }

  // After destroy (its streams closed) a context is refused everywhere; who holds it only keeps the memory.
  bool destroyed() const { return destroyed_.load(std::memory_order_acquire); }
  void destroy(bool drop_work);

  // Stop-on-failure mode of its streams: after a failure nothing more is accepted and what is queued is skipped.
  void set_stop_on_failure() { stop_on_failure_.store(true); }
  bool stop_on_failure() const { return stop_on_failure_.load(); }
  void failed(aclError code) { failure_.store(code); }
  aclError failure() const { return failure_.load(); }

  void set_handle(aclrtContext handle) { handle_ = handle; }

 private:
  const int device_;
  const bool primary_;
  aclrtContext handle_ = nullptr;  // constant once published
  std::shared_ptr<Stream> default_stream_;
  std::atomic<bool> destroyed_{false};
  std::atomic<bool> stop_on_failure_{false};
  std::atomic<aclError> failure_{ACL_SUCCESS};
};

// The calling thread's context, nullptr if none. Valid until the thread changes it.
Context* current_context();
void set_current_context(std::shared_ptr<Context> context);

// The calling thread's context; refuses with 100001 before aclInit, 107002 when there is none or it was destroyed.
Context& require_context();

}  // namespace emulator
