// std::mutex and std::condition_variable with clang's thread-safety annotations, which libstdc++'s lack: clang-tidy
// then proves that guarded members are touched under their mutex only.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#if defined(__clang__)
#define NPUSERVE_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define NPUSERVE_THREAD_ANNOTATION(x)
#endif

#define GUARDED_BY(x) NPUSERVE_THREAD_ANNOTATION(guarded_by(x))
#define REQUIRES_LOCK(...) NPUSERVE_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES_LOCK(...) NPUSERVE_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))

namespace npuserve::core {

class ConditionVariable;

class NPUSERVE_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() NPUSERVE_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() NPUSERVE_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  friend class ConditionVariable;
  std::mutex mutex_;
};

class NPUSERVE_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) NPUSERVE_THREAD_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() NPUSERVE_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class ConditionVariable {
 public:
  // Both waits may return early: callers loop over their condition.
  void wait(Mutex& mutex) REQUIRES_LOCK(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }

  // deadline_ns: as steady_now_ns() counts.
  void wait_until(Mutex& mutex, int64_t deadline_ns) REQUIRES_LOCK(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(deadline_ns)};
    condition_.wait_until(lock, deadline);
    lock.release();
  }

  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace npuserve::core
