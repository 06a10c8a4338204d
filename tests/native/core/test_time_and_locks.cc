#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "core/clock.h"
#include "core/mutex.h"

namespace core = npuserve::core;

TEST_CASE("the steady clock does not go back and the wall clock is past 2025") {
  const int64_t first = core::steady_now_ns();
  CHECK(core::steady_now_ns() >= first);
  CHECK(core::wall_now_ms() > 1'735'689'600'000);
}

TEST_CASE("a wait ends at its deadline, on the steady clock") {
  core::Mutex mutex;
  core::ConditionVariable changed;
  const int64_t deadline_ns = core::steady_now_ns() + 2'000'000;
  const core::MutexLock lock(mutex);
  while (core::steady_now_ns() < deadline_ns) changed.wait_until(mutex, deadline_ns);
  CHECK(core::steady_now_ns() >= deadline_ns);
}

TEST_CASE("a wait lets others have the lock and sees what they did under it") {
  core::Mutex mutex;
  core::ConditionVariable changed;
  int value = 0;
  std::thread writer([&] {
    const core::MutexLock lock(mutex);
    value = 7;
    changed.notify_all();
  });
  {
    const core::MutexLock lock(mutex);
    while (value == 0) changed.wait(mutex);
    CHECK(value == 7);
  }
  writer.join();
}
