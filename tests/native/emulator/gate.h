// A host function that holds a stream until it is opened: what is queued behind it has certainly not run.
#pragma once

#include <condition_variable>
#include <mutex>

#include "emulator/ascendcl.h"

namespace test {

class Gate {
 public:
  explicit Gate(aclrtStream stream) : code_(aclrtLaunchHostFunc(stream, wait_for, this)) {}
  ~Gate() { open(); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }

  aclError code() const { return code_; }

 private:
  static void wait_for(void* gate) {
    auto& self = *static_cast<Gate*>(gate);
    std::unique_lock lock(self.mutex_);
    self.opened_.wait(lock, [&] { return self.open_; });
  }

  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;  // guarded by mutex_
  aclError code_;
};

}  // namespace test
