// Something that happens once and that threads wait for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>

namespace emulator {

// Milliseconds; nullopt waits for ever.
using Timeout = std::optional<std::chrono::milliseconds>;

class Signal {
 public:
  void fire() {
    const std::lock_guard lock(mutex_);
    fired_ = true;
    changed_.notify_all();
  }

  bool fired() const {
    const std::lock_guard lock(mutex_);
    return fired_;
  }

  // Whether it has fired; false when the time is over or the stop came first.
  bool wait(Timeout timeout = std::nullopt, const std::stop_token& stop = {}) {
    std::unique_lock lock(mutex_);
    const auto fired = [this] { return fired_; };
    if (!timeout) return changed_.wait(lock, stop, fired);
    return changed_.wait_for(lock, stop, *timeout, fired);
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool fired_ = false;  // guarded by mutex_
};

}  // namespace emulator
