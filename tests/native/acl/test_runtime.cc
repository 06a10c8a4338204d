#include "acl/runtime.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "acl/context.h"
#include "acl/errors.h"
#include "acl/event.h"
#include "acl/functions.h"
#include "acl/memory.h"
#include "acl/stream.h"
#include "device.h"

using device_test::code_of;
using device_test::Fault;
using device_test::needs_device;
using device_test::open_runtime;
using device_test::Setting;
using npuserve::acl::Context;
using npuserve::acl::DeviceMemory;
using npuserve::acl::Error;
using npuserve::acl::Event;
using npuserve::acl::Stream;

TEST_CASE("without NPUSERVE_ACL_LIBRARY the tests on a device are skipped" *
          doctest::skip(device_test::library_file() != nullptr)) {
  MESSAGE("NPUSERVE_ACL_LIBRARY is not set: nothing that needs a device was tested");
}

TEST_CASE("a runtime tells the number of devices and the chip's name" * needs_device()) {
  const Setting devices("NPUSERVE_EMULATOR_DEVICES", "3");
  const auto runtime = open_runtime();
  CHECK(runtime->device_count() == 3);
  CHECK(runtime->soc_name().starts_with("Ascend"));
  CHECK(runtime->allocations() == 0);
}

TEST_CASE("a process that is initialised already counts as success, and stays so until the last runtime closes" *
          needs_device()) {
  const auto first = open_runtime();
  const auto second = open_runtime();
  second->close();
  CHECK(first->device_count() == 1);
  first->close();
  CHECK(code_of([&] { static_cast<void>(first->device_count()); }) != 0);
}

TEST_CASE("after closing, AscendCL can be initialised again" * needs_device()) {
  open_runtime()->close();
  CHECK(open_runtime()->device_count() == 1);
}

TEST_CASE("closing twice is closing once" * needs_device()) {
  const auto runtime = open_runtime();
  runtime->close();
  CHECK_FALSE(runtime->is_open());
  CHECK_NOTHROW(runtime->close());
}

TEST_CASE("closing says what the driver refused" * needs_device()) {
  const Fault fault("aclFinalizeReference:1:500000");
  const auto runtime = open_runtime();
  CHECK(code_of([&] { runtime->close(); }) == 500000);
  CHECK(runtime->functions().aclFinalize() == 0);  // the fault left AscendCL initialised
}

TEST_CASE("a runtime that somebody else has shut down closes without complaint" * needs_device()) {
  const Fault fault("aclFinalizeReference:1:100037");
  const auto runtime = open_runtime();
  CHECK_NOTHROW(runtime->close());
  CHECK(runtime->functions().aclFinalize() == 0);  // the fault left AscendCL initialised
}

TEST_CASE("what outlives the runtime's end releases nothing and complains of nothing" * needs_device()) {
  const auto runtime = open_runtime();
  std::optional<Context> context(std::in_place, runtime, 0);
  std::optional<Stream> stream(std::in_place, *runtime);
  std::optional<Event> event(std::in_place, *runtime);
  std::optional<DeviceMemory> memory(std::in_place, *runtime, 1024U);
  runtime->close();
  event.reset();
  memory.reset();
  stream.reset();
  context.reset();
  CHECK(runtime->failed_releases() == 0);
}

TEST_CASE("a failing call is an error with the driver's own text" * needs_device()) {
  const auto runtime = open_runtime();
  try {
    const Context context(runtime, 99);
    FAIL("device 99 exists");
  } catch (const Error& error) {
    CHECK(error.call() == "aclrtSetDevice");
    CHECK(error.code() == 107001);
    CHECK(error.kind() == Error::Kind::kInvalid);
    CHECK_FALSE(error.detail().empty());
    CHECK(std::string(error.what()).ends_with(error.detail()));
  }
}

TEST_CASE("a release that the driver refuses is counted and kept, and nothing is thrown" * needs_device()) {
  const Fault fault("aclrtFree:1:507899");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  {
    const DeviceMemory memory(*runtime, 64);
  }
  CHECK(runtime->failed_releases() == 1);
  CHECK(runtime->last_failed_release().starts_with("aclrtFree failed: 507899 (ACL_ERROR_RT_DRV_INTERNAL_ERROR)"));
}
