#include <doctest/doctest.h>

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "emulator/ascendcl.h"

namespace {

// A thread that takes reports until it is ended.
class Reporter {
 public:
  Reporter() : thread_([this] { run(); }) {
    std::unique_lock lock(mutex_);
    ready_changed_.wait(lock, [this] { return ready_; });
  }
  ~Reporter() { end(); }
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  uint64_t id() { return static_cast<uint64_t>(thread_.native_handle()); }

  void subscribed() {
    const std::lock_guard lock(mutex_);
    go_ = true;
    ready_changed_.notify_all();
  }

  void end() {
    subscribed();
    ended_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    ready_ = true;
    ready_changed_.notify_all();
    ready_changed_.wait(lock, [this] { return go_; });
    lock.unlock();
    while (!ended_) aclrtProcessReport(5);
  }

  std::mutex mutex_;
  std::condition_variable ready_changed_;
  bool ready_ = false;  // guarded by mutex_
  bool go_ = false;     // guarded by mutex_
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

struct Ran {
  std::atomic<int> count{0};
  std::thread::id thread;
  aclError allocation = ACL_SUCCESS;
  aclError synchronization = ACL_SUCCESS;
};

void run(void* ran) {
  auto& self = *static_cast<Ran*>(ran);
  self.thread = std::this_thread::get_id();
  ++self.count;
}

void misbehave(void* ran) {
  auto& self = *static_cast<Ran*>(ran);
  void* memory = nullptr;
  self.allocation = aclrtMallocHost(&memory, 64);
  self.synchronization = aclrtSynchronizeStream(nullptr);
  ++self.count;
}

}  // namespace

TEST_CASE("a blocking callback runs on the subscribed thread, before what the stream does next") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  Reporter reporter;
  Ran ran;
  REQUIRE(aclrtSubscribeReport(reporter.id(), stream) == ACL_SUCCESS);
  reporter.subscribed();
  CHECK(aclrtLaunchCallback(run, &ran, ACL_CALLBACK_BLOCK, stream) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
  CHECK(ran.count == 1);
  CHECK(ran.thread != std::this_thread::get_id());
  CHECK(aclrtUnSubscribeReport(reporter.id(), stream) == ACL_SUCCESS);
}

TEST_CASE("a callback that does not block is left to its thread, and the stream goes on") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  Ran ran;
  REQUIRE(aclrtSubscribeReport(pthread_self(), stream) == ACL_SUCCESS);
  aclrtLaunchCallback(run, &ran, ACL_CALLBACK_NO_BLOCK, stream);
  CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
  CHECK(ran.count == 0);
  CHECK(aclrtProcessReport(1000) == ACL_SUCCESS);
  CHECK(ran.count == 1);
  CHECK(aclrtProcessReport(5) == ACL_ERROR_RT_REPORT_TIMEOUT);
  CHECK(aclrtProcessReport(0) == ACL_ERROR_INVALID_PARAM);
  aclrtUnSubscribeReport(pthread_self(), stream);
  CHECK(aclrtProcessReport(5) == ACL_ERROR_RT_THREAD_SUBSCRIBE);
  aclGetRecentErrMsg();
}

TEST_CASE("callbacks need a subscription and a function") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  CHECK(aclrtLaunchCallback(run, nullptr, ACL_CALLBACK_BLOCK, stream) == ACL_ERROR_RT_STREAM_NO_CB_REG);
  CHECK(aclrtLaunchCallback(nullptr, nullptr, ACL_CALLBACK_BLOCK, stream) == ACL_ERROR_RT_PARAM_INVALID);
  aclGetRecentErrMsg();
}

TEST_CASE("a stream is subscribed once, and unsubscribed by the thread it was subscribed for") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  const aclrtStream second = test::new_stream();
  const uint64_t self = pthread_self();
  CHECK(aclrtSubscribeReport(self, stream) == ACL_SUCCESS);
  CHECK(aclrtSubscribeReport(self, stream) == ACL_ERROR_RT_STREAM_SUBSCRIBE);
  CHECK(aclrtSubscribeReport(self + 1, stream) == ACL_ERROR_RT_STREAM_SUBSCRIBE);
  CHECK(aclrtSubscribeReport(self, second) == ACL_SUCCESS);
  CHECK(aclrtUnSubscribeReport(self + 1, stream) == ACL_ERROR_RT_THREAD_SUBSCRIBE);
  CHECK(aclrtUnSubscribeReport(self, stream) == ACL_SUCCESS);
  CHECK(aclrtUnSubscribeReport(self, stream) == ACL_ERROR_RT_THREAD_SUBSCRIBE);
  CHECK(aclrtUnSubscribeReport(self, second) == ACL_SUCCESS);
  aclGetRecentErrMsg();
}

TEST_CASE("a thread serves streams of one device only") {
  const test::Variable devices("NPUSERVE_EMULATOR_DEVICES", "2");
  const test::Device device;
  REQUIRE(aclrtSubscribeReport(pthread_self(), test::new_stream()) == ACL_SUCCESS);
  aclrtSetDevice(1);
  CHECK(aclrtSubscribeReport(pthread_self(), test::new_stream()) == ACL_ERROR_RT_THREAD_SUBSCRIBE);
  aclGetRecentErrMsg();
}

TEST_CASE("host functions run without a subscription, and do not mix with one on the same stream") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  const aclrtStream subscribed = test::new_stream();
  Ran ran;
  CHECK(aclrtLaunchHostFunc(stream, run, &ran) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
  CHECK(ran.count == 1);
  CHECK(aclrtSubscribeReport(pthread_self(), stream) == ACL_ERROR_RT_STREAM_SUBSCRIBE);
  REQUIRE(aclrtSubscribeReport(pthread_self(), subscribed) == ACL_SUCCESS);
  CHECK(aclrtLaunchHostFunc(subscribed, run, &ran) == ACL_ERROR_RT_STREAM_SUBSCRIBE);
  CHECK(aclrtLaunchHostFunc(stream, nullptr, nullptr) == ACL_ERROR_RT_PARAM_INVALID);
  aclGetRecentErrMsg();
}

TEST_CASE("inside a callback nothing is allocated and nothing synchronized") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  Ran ran;
  REQUIRE(aclrtSubscribeReport(pthread_self(), stream) == ACL_SUCCESS);
  aclrtLaunchCallback(misbehave, &ran, ACL_CALLBACK_BLOCK, stream);
  REQUIRE(aclrtProcessReport(1000) == ACL_SUCCESS);
  CHECK(ran.allocation == ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
  CHECK(ran.synchronization == ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
  CHECK(test::recent_text().find("aclrtSynchronizeStream: not allowed in a callback") != std::string::npos);
  CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
}

TEST_CASE("a stream that waits for a callback nobody takes is let go at the end") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  Ran ran;
  REQUIRE(aclrtSubscribeReport(pthread_self(), stream) == ACL_SUCCESS);
  aclrtLaunchCallback(run, &ran, ACL_CALLBACK_BLOCK, stream);
  CHECK(aclrtSynchronizeStreamWithTimeout(stream, 10) == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
  CHECK(aclFinalize() == ACL_SUCCESS);
  CHECK(ran.count == 0);
  aclGetRecentErrMsg();
}
