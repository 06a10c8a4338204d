#include <doctest/doctest.h>

#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "emulator/ascendcl.h"
#include "emulator/gate.h"

namespace {

// Host functions that note when they ran.
struct Log {
  std::mutex mutex;
  std::vector<int> entries;  // guarded by mutex
};
struct Entry {
  Log* log;
  int number;
};

void note(void* argument) {
  const Entry& entry = *static_cast<Entry*>(argument);
  const std::lock_guard lock(entry.log->mutex);
  entry.log->entries.push_back(entry.number);
}

}  // namespace

TEST_CASE("a stream runs its work in the order of submission") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  Log log;
  std::vector<Entry> entries;
  for (int number = 0; number < 200; ++number) entries.push_back({&log, number});
  for (Entry& entry : entries) REQUIRE(aclrtLaunchHostFunc(stream, note, &entry) == ACL_SUCCESS);
  REQUIRE(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
  std::vector<int> expected(200);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(log.entries == expected);
}

TEST_CASE("two streams are not ordered: one goes on while the other is held") {
  const test::Device device;
  const aclrtStream held = test::new_stream();
  const aclrtStream free = test::new_stream();
  test::Gate gate(held);
  Log log;
  Entry entry{&log, 1};
  aclrtLaunchHostFunc(free, note, &entry);
  CHECK(aclrtSynchronizeStream(free) == ACL_SUCCESS);
  CHECK(log.entries == std::vector<int>{1});
  aclrtStreamStatus status = ACL_STREAM_STATUS_COMPLETE;
  CHECK(aclrtStreamQuery(held, &status) == ACL_SUCCESS);
  CHECK(status == ACL_STREAM_STATUS_NOT_READY);
  gate.open();
  aclrtSynchronizeStream(held);
}

TEST_CASE("NULL is the default stream of the current context") {
  const test::Device device;
  aclrtStream named = nullptr;
  aclrtCtxGetCurrentDefaultStream(&named);
  int32_t id = -1;
  int32_t named_id = -2;
  CHECK(aclrtStreamGetId(nullptr, &id) == ACL_SUCCESS);
  CHECK(aclrtStreamGetId(named, &named_id) == ACL_SUCCESS);
  CHECK(id == named_id);
  CHECK(aclrtSynchronizeStream(nullptr) == ACL_SUCCESS);
  CHECK(aclrtDestroyStream(nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtDestroyStream(named) == ACL_ERROR_RT_PARAM_INVALID);
}

TEST_CASE("work is submitted to streams of the current context only, but any can be synchronized") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  aclrtContext other = nullptr;
  aclrtEvent event = nullptr;
  void* memory = test::device_memory(64);
  int* host = test::pinned_memory<int>(1);
  REQUIRE(aclrtCreateContext(&other, 0) == ACL_SUCCESS);
  REQUIRE(aclrtCreateEvent(&event) == ACL_SUCCESS);
  CHECK(aclrtMemcpyAsync(memory, 4, host, 4, ACL_MEMCPY_HOST_TO_DEVICE, stream) == ACL_ERROR_RT_STREAM_CONTEXT);
  CHECK(test::recent_text().find("belongs to another context") != std::string::npos);
  CHECK(aclrtRecordEvent(event, stream) == ACL_ERROR_RT_STREAM_CONTEXT);
  CHECK(aclrtStreamWaitEvent(stream, event) == ACL_ERROR_RT_STREAM_CONTEXT);
  CHECK(aclrtLaunchHostFunc(stream, note, nullptr) == ACL_ERROR_RT_STREAM_CONTEXT);
  CHECK(aclrtDestroyStream(stream) == ACL_ERROR_RT_STREAM_CONTEXT);
  CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
  aclrtFreeHost(host);
}

TEST_CASE("a destroyed stream is refused, and its work is done before") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  Log log;
  Entry entry{&log, 7};
  aclrtLaunchHostFunc(stream, note, &entry);
  CHECK(aclrtDestroyStream(stream) == ACL_SUCCESS);
  CHECK(log.entries == std::vector<int>{7});
  CHECK(aclrtSynchronizeStream(stream) == ACL_ERROR_RT_INVALID_HANDLE);
  CHECK(aclrtDestroyStream(stream) == ACL_ERROR_RT_INVALID_HANDLE);
  CHECK(test::recent_text().find("not a live stream") != std::string::npos);
}

TEST_CASE("a forced destroy drops what has not begun") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  Log log;
  Entry entry{&log, 7};
  test::Gate gate(stream);
  aclrtLaunchHostFunc(stream, note, &entry);
  std::thread opener([&] { gate.open(); });
  CHECK(aclrtDestroyStreamForce(stream) == ACL_SUCCESS);
  opener.join();
  CHECK(log.entries.size() <= 1);  // the gate may open first
}

TEST_CASE("a synchronize with a timeout gives up with 507046 and the work goes on") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  test::Gate gate(stream);
  CHECK(aclrtSynchronizeStreamWithTimeout(stream, 10) == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
  CHECK(aclrtSynchronizeStreamWithTimeout(stream, 0) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(aclrtSynchronizeStreamWithTimeout(stream, -2) == ACL_ERROR_RT_PARAM_INVALID);
  gate.open();
  CHECK(aclrtSynchronizeStreamWithTimeout(stream, -1) == ACL_SUCCESS);
  aclGetRecentErrMsg();
}

TEST_CASE("an abort drops the queue, tells who waits, and leaves the stream usable") {
  const test::Device device;
  aclrtContext context = nullptr;
  aclrtGetCurrentContext(&context);
  const aclrtStream stream = test::new_stream();
  Log log;
  Entry dropped{&log, 1};
  Entry kept{&log, 2};
  test::Gate gate(stream);
  aclrtLaunchHostFunc(stream, note, &dropped);
  aclError waited = ACL_SUCCESS;
  std::thread waiter([&] {
    aclrtSetCurrentContext(context);
    waited = aclrtSynchronizeStream(stream);
  });
  while (aclrtSynchronizeStreamWithTimeout(stream, 20) != ACL_ERROR_RT_STREAM_SYNC_TIMEOUT) {
  }
  CHECK(aclrtStreamAbort(stream) == ACL_SUCCESS);
  gate.open();
  waiter.join();
  CHECK((waited == ACL_ERROR_RT_STREAM_ABORT || waited == ACL_SUCCESS));  // success if it began to wait only now
  aclrtLaunchHostFunc(stream, note, &kept);
  CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
  CHECK(log.entries == std::vector<int>{2});
  aclGetRecentErrMsg();
}

TEST_CASE("a device has 1984 streams, default streams included, and tells how many are left") {
  const test::Device device;
  uint32_t left = 0;
  REQUIRE(aclrtGetStreamAvailableNum(&left) == ACL_SUCCESS);
  CHECK(left == 1983);
  std::vector<aclrtStream> streams;
  for (uint32_t made = 0; made < left; ++made) streams.push_back(test::new_stream());
  aclrtStream excess = nullptr;
  CHECK(aclrtCreateStream(&excess) == ACL_ERROR_RT_NO_STREAM_RESOURCE);
  CHECK(test::recent_text().find("EE1023") == 0);
  CHECK(aclrtDestroyStream(streams.back()) == ACL_SUCCESS);
  CHECK(aclrtCreateStream(&excess) == ACL_SUCCESS);
}

TEST_CASE("streams take known flags and priorities") {
  const test::Device device;
  aclrtStream stream = nullptr;
  CHECK(aclrtCreateStreamWithConfig(&stream, 0, ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC) == ACL_SUCCESS);
  CHECK(aclrtCreateStreamWithConfig(&stream, 8, 0) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(aclrtCreateStreamWithConfig(&stream, 0, 0x4000) == ACL_ERROR_RT_PARAM_INVALID);
  CHECK(aclrtCreateStream(nullptr) == ACL_ERROR_INVALID_PARAM);
}

TEST_CASE("a program of many threads submits to its own streams and shares one") {
  const test::Device device;
  aclrtContext context = nullptr;
  aclrtGetCurrentContext(&context);
  const aclrtStream shared = test::new_stream();
  Log log;
  Entry entry{&log, 1};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      aclrtSetCurrentContext(context);
      const aclrtStream own = test::new_stream();
      for (int round = 0; round < 50; ++round) {
        aclrtLaunchHostFunc(shared, note, &entry);
        aclrtLaunchHostFunc(own, note, &entry);
        if (round % 10 == 0) aclrtSynchronizeStream(shared);
      }
      aclrtDestroyStream(own);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(aclrtSynchronizeDevice() == ACL_SUCCESS);
  CHECK(log.entries.size() == 400);
}
