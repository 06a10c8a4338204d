// Handles given to the caller. A handle is a number that is never used twice and is no address: a freed one stays
// unknown for good, one of another kind is unknown, and following it faults.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace emulator {

inline void* next_handle() {
  // Not canonical on x86-64 and never mapped elsewhere, so that it faults when followed; steps of 16 keep it aligned.
  static std::atomic<std::uintptr_t> next{0x1000'0000'0000'0010};
  const std::uintptr_t number = next.fetch_add(16, std::memory_order_relaxed);
  return reinterpret_cast<void*>(number);  // NOLINT(performance-no-int-to-ptr): a handle is a number by design
}

// The live objects of one kind. Thread-safe. Whoever finds an object keeps it alive, also past its destroy.
template <class T>
class HandleTable {
 public:
  void* create(std::shared_ptr<T> object) {
    void* const handle = next_handle();
    insert(handle, std::move(object));
    return handle;
  }

  // For objects that know their handle. REQUIRES: a handle of next_handle.
  void insert(void* handle, std::shared_ptr<T> object) {
    const std::lock_guard lock(mutex_);
    objects_.emplace(handle, std::move(object));
  }

  // nullptr if unknown or freed.
  std::shared_ptr<T> find(const void* handle) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second;
  }

  // Forgets the handle and returns what it stood for; nullptr if unknown or freed.
  std::shared_ptr<T> destroy(const void* handle) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) return nullptr;
    std::shared_ptr<T> object = std::move(found->second);
    objects_.erase(found);
    return object;
  }

  std::vector<std::shared_ptr<T>> all() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<T>> live;
    live.reserve(objects_.size());
    for (const auto& entry : objects_) live.push_back(entry.second);
    return live;
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return objects_.size();
  }

  // Forgets all that `matches`, and returns them.
  template <class F>
  std::vector<std::shared_ptr<T>> take_if(F matches) {
    std::vector<std::shared_ptr<T>> taken;
    const std::lock_guard lock(mutex_);
    std::erase_if(objects_, [&](auto& entry) {
      if (!matches(*entry.second)) return false;
      taken.push_back(std::move(entry.second));
      return true;
    });
    return taken;
  }

 private:
  mutable std::mutex mutex_;
  std::map<const void*, std::shared_ptr<T>> objects_;  // guarded by mutex_
};

}  // namespace emulator
