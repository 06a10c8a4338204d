#include <doctest/doctest.h>

#include <string>
#include <thread>

#include "emulator/ascendcl.h"

TEST_CASE("a thread has no context until it sets a device or a context, whatever others did") {
  const test::Device device;
  aclrtContext context = nullptr;
  REQUIRE(aclrtGetCurrentContext(&context) == ACL_SUCCESS);
  std::thread([&] {
    void* memory = nullptr;
    aclrtStream stream = nullptr;
    CHECK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_ERROR_RT_CONTEXT_NULL);
    CHECK(test::recent_text().find("aclrtMalloc: the thread has no current context") != std::string::npos);
    CHECK(aclrtCreateStream(&stream) == ACL_ERROR_RT_CONTEXT_NULL);
    CHECK(aclrtSetCurrentContext(context) == ACL_SUCCESS);
    CHECK(aclrtCreateStream(&stream) == ACL_SUCCESS);
  }).join();
}

TEST_CASE("threads that set the same device share its default context and default stream") {
  const test::Device device;
  aclrtContext mine = nullptr;
  aclrtStream my_stream = nullptr;
  aclrtGetCurrentContext(&mine);
  aclrtCtxGetCurrentDefaultStream(&my_stream);
  std::thread([&] {
    aclrtContext other = nullptr;
    aclrtStream other_stream = nullptr;
    CHECK(aclrtSetDevice(0) == ACL_SUCCESS);
    CHECK(aclrtGetCurrentContext(&other) == ACL_SUCCESS);
    CHECK(aclrtCtxGetCurrentDefaultStream(&other_stream) == ACL_SUCCESS);
    CHECK(other == mine);
    CHECK(other_stream == my_stream);
  }).join();
}

TEST_CASE("a created context is current for its thread, and setting another's switches the device") {
  const test::Variable devices("NPUSERVE_EMULATOR_DEVICES", "2");
  const test::Device device;
  aclrtContext first = nullptr;
  aclrtContext second = nullptr;
  aclrtContext current = nullptr;
  int32_t id = -1;
  REQUIRE(aclrtCreateContext(&first, 0) == ACL_SUCCESS);
  REQUIRE(aclrtCreateContext(&second, 1) == ACL_SUCCESS);
  CHECK(aclrtGetCurrentContext(&current) == ACL_SUCCESS);
  CHECK(current == second);
  CHECK(aclrtGetDevice(&id) == ACL_SUCCESS);
  CHECK(id == 1);
  CHECK(aclrtSetCurrentContext(first) == ACL_SUCCESS);
  CHECK(aclrtGetDevice(&id) == ACL_SUCCESS);
  CHECK(id == 0);
}

TEST_CASE("a destroyed context is refused, also where it was current, and its streams are gone") {
  const test::Device device;
  aclrtContext context = nullptr;
  void* memory = nullptr;
  REQUIRE(aclrtCreateContext(&context, 0) == ACL_SUCCESS);
  const aclrtStream stream = test::new_stream();
  CHECK(aclrtDestroyContext(context) == ACL_SUCCESS);
  CHECK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_ERROR_RT_CONTEXT_NULL);
  CHECK(aclrtSetCurrentContext(context) == ACL_ERROR_RT_CONTEXT_NULL);
  CHECK(aclrtDestroyContext(context) == ACL_ERROR_RT_INVALID_HANDLE);
  CHECK(aclrtSetDevice(0) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(stream) == ACL_ERROR_RT_INVALID_HANDLE);
}

TEST_CASE("NULL contexts are invalid, and the default context is not destroyed by hand") {
  const test::Device device;
  aclrtContext context = nullptr;
  CHECK(aclrtSetCurrentContext(nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtCreateContext(nullptr, 0) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclrtCreateContext(&context, 9) == ACL_ERROR_RT_INVALID_DEVICEID);
  REQUIRE(aclrtGetCurrentContext(&context) == ACL_SUCCESS);
  CHECK(aclrtDestroyContext(context) == ACL_ERROR_RT_PARAM_INVALID);
}

TEST_CASE("a stream handle is no context, and a context handle no stream") {
  const test::Device device;
  aclrtContext context = nullptr;
  aclrtGetCurrentContext(&context);
  CHECK(aclrtSynchronizeStream(context) == ACL_ERROR_RT_INVALID_HANDLE);
  CHECK(aclrtSetCurrentContext(test::new_stream()) == ACL_ERROR_RT_CONTEXT_NULL);
}

TEST_CASE("the default context is active from the first set of its device to the last reset") {
  const test::Library library;
  int32_t active = -1;
  CHECK(aclrtGetPrimaryCtxState(0, nullptr, &active) == ACL_SUCCESS);
  CHECK(active == 0);
  aclrtSetDevice(0);
  aclrtGetPrimaryCtxState(0, nullptr, &active);
  CHECK(active == 1);
  aclrtResetDevice(0);
  aclrtGetPrimaryCtxState(0, nullptr, &active);
  CHECK(active == 0);
}
