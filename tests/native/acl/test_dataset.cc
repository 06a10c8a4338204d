#include "acl/dataset.h"

#include <doctest/doctest.h>

#include <utility>

#include "acl/context.h"
#include "acl/memory.h"
#include "device.h"

using device_test::code_of;
using device_test::Fault;
using device_test::needs_device;
using device_test::open_runtime;
using npuserve::acl::Context;
using npuserve::acl::DataBuffer;
using npuserve::acl::Dataset;
using npuserve::acl::DeviceMemory;

TEST_CASE("a dataset holds its buffers in the order in which they came, and frees them with itself" * needs_device()) {
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const DeviceMemory memory(*runtime, 256);
  {
    Dataset dataset(*runtime);
    DataBuffer first(*runtime, memory.data(), 64);
    DataBuffer second(*runtime, memory.data(), 128);
    auto* const first_handle = first.handle();
    auto* const second_handle = second.handle();
    dataset.add(std::move(first));
    dataset.add(std::move(second));
    REQUIRE(dataset.size() == 2);
    CHECK(dataset[0].handle() == first_handle);
    CHECK(dataset[1].handle() == second_handle);
    CHECK_NOTHROW(dataset[1].update(memory.data(), 256));
    const Dataset moved(std::move(dataset));
    CHECK(moved.size() == 2);
  }
  CHECK(runtime->failed_releases() == 0);
}

TEST_CASE("a buffer that the dataset refuses is not kept" * needs_device()) {
  const Fault fault("aclmdlAddDatasetBuffer:2:100000");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const DeviceMemory memory(*runtime, 64);
  Dataset dataset(*runtime);
  dataset.add(DataBuffer(*runtime, memory.data(), 64));
  CHECK(code_of([&] { dataset.add(DataBuffer(*runtime, memory.data(), 64)); }) == 100000);
  CHECK(dataset.size() == 1);
}

TEST_CASE("updating a buffer says what the driver refused" * needs_device()) {
  const Fault fault("aclUpdateDataBuffer:1:100000");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const DeviceMemory memory(*runtime, 64);
  const DataBuffer buffer(*runtime, memory.data(), 64);
  CHECK(code_of([&] { buffer.update(memory.data(), 32); }) == 100000);
}
