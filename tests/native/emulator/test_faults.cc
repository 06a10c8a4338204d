#include <doctest/doctest.h>

#include <string>
#include <thread>

#include "emulator/ascendcl.h"
#include "emulator/gate.h"

namespace {

aclError copy_to(void* memory, const void* pinned, aclrtStream stream) {
  return aclrtMemcpyAsync(memory, 4, pinned, 4, ACL_MEMCPY_HOST_TO_DEVICE, stream);
}

void nothing(void*) {}

}  // namespace

TEST_CASE("a fault strikes the nth call, at once, and the call does nothing") {
  const test::FaultyDevice device("aclrtMalloc:2:207001");
  void* memory = nullptr;
  CHECK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_SUCCESS);
  memory = nullptr;
  CHECK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST) == 207001);
  CHECK(memory == nullptr);
  CHECK(test::recent_text().find("aclrtMalloc: injected fault (207001)") != std::string::npos);
  CHECK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_SUCCESS);
}

TEST_CASE("a fault with a star strikes every call, and rules add up") {
  const test::FaultyDevice device("aclrtCreateStream:*:207008;aclrtCreateEvent:1:207007");
  aclrtStream stream = nullptr;
  aclrtEvent event = nullptr;
  CHECK(aclrtCreateStream(&stream) == 207008);
  CHECK(aclrtCreateStream(&stream) == 207008);
  CHECK(aclrtCreateEvent(&event) == 207007);
  CHECK(aclrtCreateEvent(&event) == ACL_SUCCESS);
  aclGetRecentErrMsg();
}

TEST_CASE("any function can fail, also those that return no code, and aclInit itself") {
  {
    const test::FaultyDevice device("aclmdlCreateDataset:1:100000;aclrtGetSocName:1:507899");
    CHECK(aclmdlCreateDataset() == nullptr);
    CHECK(aclrtGetSocName() == nullptr);
    CHECK(aclrtGetSocName() != nullptr);
  }
  const test::Variable faults("NPUSERVE_EMULATOR_FAULTS", "aclInit:1:507033");
  CHECK(aclInit(nullptr) == 507033);
  aclGetRecentErrMsg();
}

TEST_CASE("a delayed fault lets the call succeed and comes from its stream at the next synchronize, once") {
  const test::FaultyDevice device("aclrtMemcpyAsync:1:507015:sync");
  const aclrtStream stream = test::new_stream();
  const aclrtStream other = test::new_stream();
  void* memory = test::device_memory(4);
  int* pinned = test::pinned_memory<int>(1);
  CHECK(copy_to(memory, pinned, stream) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(other) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(stream) == 507015);
  CHECK(test::recent_text().find("aclrtMemcpyAsync: injected fault") != std::string::npos);
  CHECK(aclrtSynchronizeStream(stream) == ACL_SUCCESS);
  aclrtFreeHost(pinned);
}

TEST_CASE("a delayed fault comes from the event recorded behind it, not from one before") {
  const test::FaultyDevice device("aclrtMemcpyAsync:1:507018:sync");
  aclrtEvent before = nullptr;
  aclrtEvent behind = nullptr;
  aclrtCreateEvent(&before);
  aclrtCreateEvent(&behind);
  void* memory = test::device_memory(4);
  int* pinned = test::pinned_memory<int>(1);
  aclrtRecordEvent(before, nullptr);
  copy_to(memory, pinned, nullptr);
  aclrtRecordEvent(behind, nullptr);
  CHECK(aclrtSynchronizeEvent(before) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeEvent(behind) == 507018);
  CHECK(aclrtSynchronizeEvent(behind) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(nullptr) == ACL_SUCCESS);
  aclrtFreeHost(pinned);
  aclGetRecentErrMsg();
}

TEST_CASE("a delayed fault also comes from a query and from synchronizing the device") {
  const test::FaultyDevice device("aclrtMemcpyAsync:*:507014:sync");
  const aclrtStream stream = test::new_stream();
  void* memory = test::device_memory(4);
  int* pinned = test::pinned_memory<int>(1);
  copy_to(memory, pinned, stream);
  CHECK(aclrtSynchronizeDevice() == 507014);
  copy_to(memory, pinned, stream);
  aclrtStreamStatus status = ACL_STREAM_STATUS_NOT_READY;
  aclError queried = ACL_SUCCESS;
  do {
    queried = aclrtStreamQuery(stream, &status);
  } while (queried == ACL_SUCCESS && status == ACL_STREAM_STATUS_NOT_READY);
  CHECK(queried == 507014);
  aclrtFreeHost(pinned);
  aclGetRecentErrMsg();
}

TEST_CASE("a delayed fault of a call without a stream comes from the default stream") {
  const test::FaultyDevice device("aclrtMalloc:1:507053:sync");
  CHECK(test::device_memory(64) != nullptr);
  CHECK(aclrtSynchronizeStream(nullptr) == 507053);
  aclGetRecentErrMsg();
}

TEST_CASE("after a failure in stop mode no stream of the context takes more work") {
  const test::FaultyDevice device("aclrtMemcpyAsync:1:507015:sync");
  const aclrtStream stream = test::new_stream();
  const aclrtStream sibling = test::new_stream();
  void* memory = test::device_memory(4);
  int* pinned = test::pinned_memory<int>(1);
  REQUIRE(aclrtSetStreamFailureMode(stream, ACL_STOP_ON_FAILURE) == ACL_SUCCESS);
  CHECK(aclrtSetStreamFailureMode(stream, ACL_STOP_ON_FAILURE) == ACL_ERROR_RT_PARAM_INVALID);
  copy_to(memory, pinned, stream);
  CHECK(aclrtSynchronizeStream(stream) == 507015);
  CHECK(aclrtSynchronizeStream(sibling) == 507015);
  CHECK(copy_to(memory, pinned, sibling) == 507015);
  CHECK(aclrtLaunchHostFunc(stream, nothing, nullptr) == 507015);
  CHECK(test::recent_text().find("stopped at an earlier failure") != std::string::npos);
  aclrtFreeHost(pinned);
}

TEST_CASE("the counts of calls are shared by all threads") {
  const test::FaultyDevice device("aclrtGetRunMode:3:500000");
  aclrtRunMode mode{};
  aclrtGetRunMode(&mode);
  std::thread([&] { CHECK(aclrtGetRunMode(&mode) == ACL_SUCCESS); }).join();
  CHECK(aclrtGetRunMode(&mode) == 500000);
  aclGetRecentErrMsg();
}

TEST_CASE("a rule that is not well formed fails aclInit and is quoted") {
  for (const char* rules :
       {"aclrtMalloc", "aclrtMalloc:0:207001", "aclrtMalloc:1:x", "aclrtMalloc:1:207001:later", ":1:2"}) {
    const test::Variable faults("NPUSERVE_EMULATOR_FAULTS", rules);
    CHECK(aclInit(nullptr) == ACL_ERROR_INVALID_PARAM);
    CHECK(test::recent_text().find(std::string("'") + rules + "'") != std::string::npos);
  }
  CHECK(aclFinalize() == ACL_ERROR_REPEAT_FINALIZE);
  aclGetRecentErrMsg();
}
