#include <doctest/doctest.h>

#include <atomic>
#include <string>

#include "emulator/ascendcl.h"
#include "emulator/gate.h"

TEST_CASE("only visible devices can be set") {
  const test::Variable devices("NPUSERVE_EMULATOR_DEVICES", "2");
  const test::Library library;
  CHECK(aclrtSetDevice(1) == ACL_SUCCESS);
  CHECK(aclrtSetDevice(2) == ACL_ERROR_RT_INVALID_DEVICEID);
  CHECK(aclrtSetDevice(-1) == ACL_ERROR_RT_INVALID_DEVICEID);
  CHECK(test::recent_text().find("not one of the 2 visible devices") != std::string::npos);
}

TEST_CASE("a device is reset as often as it was set; once more is 507007") {
  const test::Library library;
  void* memory = nullptr;
  aclrtSetDevice(0);
  aclrtSetDevice(0);
  CHECK(aclrtResetDevice(0) == ACL_SUCCESS);
  CHECK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_SUCCESS);
  CHECK(aclrtResetDevice(0) == ACL_SUCCESS);
  CHECK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_ERROR_RT_CONTEXT_NULL);
  CHECK(aclrtResetDevice(0) == ACL_ERROR_RT_CONTEXT_RELEASE_ERROR);
  aclGetRecentErrMsg();
}

TEST_CASE("a forced reset undoes every set at once") {
  const test::Library library;
  aclrtSetDevice(0);
  aclrtSetDevice(0);
  CHECK(aclrtResetDeviceForce(0) == ACL_SUCCESS);
  CHECK(aclrtResetDeviceForce(0) == ACL_ERROR_RT_CONTEXT_RELEASE_ERROR);
  CHECK(aclrtResetDevice(0) == ACL_ERROR_RT_CONTEXT_RELEASE_ERROR);
  aclGetRecentErrMsg();
}

TEST_CASE("the last reset waits for what the default context still has to do") {
  const test::Device device;
  std::atomic<bool> done{false};
  const auto finish = [](void* flag) { static_cast<std::atomic<bool>*>(flag)->store(true); };
  REQUIRE(aclrtLaunchHostFunc(nullptr, finish, &done) == ACL_SUCCESS);
  CHECK(aclrtResetDevice(0) == ACL_SUCCESS);
  CHECK(done.load());
}

TEST_CASE("synchronizing the device waits for all its streams, or until the time is over") {
  const test::Device device;
  const aclrtStream stream = test::new_stream();
  test::Gate gate(stream);
  CHECK(aclrtSynchronizeDeviceWithTimeout(10) == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
  CHECK(aclrtSynchronizeDeviceWithTimeout(0) == ACL_ERROR_RT_PARAM_INVALID);
  gate.open();
  CHECK(aclrtSynchronizeDevice() == ACL_SUCCESS);
  aclrtStreamStatus status = ACL_STREAM_STATUS_NOT_READY;
  CHECK(aclrtStreamQuery(stream, &status) == ACL_SUCCESS);
  CHECK(status == ACL_STREAM_STATUS_COMPLETE);
}

TEST_CASE("a device tells its state, memory and cores") {
  const test::Device device;
  aclrtDeviceStatus status = ACL_RT_DEVICE_STATUS_END;
  int64_t value = 0;
  aclrtRunMode mode = ACL_DEVICE;
  aclrtUtilizationInfo rate{};
  CHECK(aclrtQueryDeviceStatus(0, &status) == ACL_SUCCESS);
  CHECK(status == ACL_RT_DEVICE_STATUS_NORMAL);
  CHECK(aclrtQueryDeviceStatus(-1, &status) == ACL_ERROR_RT_INVALID_DEVICEID);
  CHECK(aclrtQueryDeviceStatus(0, nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtGetDeviceInfo(0, ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE, &value) == ACL_SUCCESS);
  CHECK(value == int64_t{64} << 30);
  CHECK(aclrtGetRunMode(&mode) == ACL_SUCCESS);
  CHECK(mode == ACL_HOST);
  CHECK(aclrtGetDeviceUtilizationRate(0, &rate) == ACL_SUCCESS);
  CHECK(rate.memoryUtilization == -1);
}
