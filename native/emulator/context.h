// Contexts: what owns streams, current for a thread. Every thread starts with none.
#pragma once

#include <atomic>
#include <memory>

#include "acl/abi.h"
#include "emulator/stream.h"

namespace emulator {

class Context : public std::enable_shared_from_this<Context> {
 public:
  // `primary`: made by aclrtSetDevice and shared by its threads, not by aclrtCreateContext.
  Context(int device, bool primary, std::int32_t default_stream_id);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  aclrtContext handle() const { return handle_; }
  aclrtStream default_stream_handle() const { return default_stream_handle_; }
  int device() const { return device_; }
  bool primary() const { return primary_; }
  Stream& default_stream() { return default_stream_; }

  // Once destroyed, a context is refused everywhere; who still holds it holds nothing but memory.
  bool destroyed() const { return destroyed_.load(); }
  void mark_destroyed() { destroyed_.store(true); }

  // Stop-on-failure mode, of all its streams: after a failure nothing more is accepted and what is queued is skipped.
  bool stops_on_failure() const { return stops_on_failure_.load(); }
  void stop_on_failure() { stops_on_failure_.store(true); }
  aclError stopped_by() const { return stopped_by_.load(); }
  void stopped_by(aclError code) { stopped_by_.store(code); }

 private:
  const aclrtContext handle_;
  const aclrtStream default_stream_handle_;
  const int device_;
  const bool primary_;
  std::atomic<bool> destroyed_{false};
  std::atomic<bool> stops_on_failure_{false};
  std::atomic<aclError> stopped_by_{ACL_SUCCESS};
  Stream default_stream_;  // last: its worker uses the rest
};

// The calling thread's context, nullptr if none. Valid until the thread changes it.
Context* current_context();
std::shared_ptr<Context> shared_current_context();
void set_current_context(std::shared_ptr<Context> context);

// The calling thread's context; refuses with 100001 before aclInit, 107002 when there is none or it was destroyed.
Context& require_context();

}  // namespace emulator
