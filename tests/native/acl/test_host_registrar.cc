// Memory of others that the device copies from by itself.
#include "acl/host_registrar.h"

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acl/copy.h"
#include "acl/stream.h"
#include "device.h"

using device_test::code_of;
using device_test::Fault;
using device_test::needs_device;
using device_test::open_runtime;
using npuserve::acl::Context;
using npuserve::acl::copy_async;
using npuserve::acl::CopyKind;
using npuserve::acl::DeviceMemory;
using npuserve::acl::HostRegistrar;
using npuserve::acl::Runtime;
using npuserve::acl::Stream;

namespace {

constexpr size_t kBytes = 2 * 4096;

// Pages, as of shared memory; `released` once nobody keeps them mapped.
struct Pages {
  Pages() {
    void* const mapped = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(mapped != MAP_FAILED);
    bytes = {static_cast<std::byte*>(mapped), kBytes};
    owner = std::shared_ptr<void>(mapped, [flag = released](void* memory) {
      munmap(memory, kBytes);
      *flag = true;
    });
  }

  std::span<std::byte> bytes;
  std::shared_ptr<std::atomic<bool>> released = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<const void> owner;
};

}  // namespace

TEST_CASE("the device copies from memory that is registered with it, and the owner keeps it mapped" * needs_device()) {
  const auto runtime = open_runtime();
  HostRegistrar registrar(runtime, 0);
  Pages pages;
  CHECK_FALSE(registrar.lend(pages.bytes));
  REQUIRE(registrar.add(pages.bytes, std::exchange(pages.owner, nullptr)));
  CHECK_FALSE(*pages.released);
  std::memcpy(pages.bytes.data() + 64, "good", 4);
  {
    const npuserve::core::Loan loan = registrar.lend(pages.bytes.subspan(64, 4));
    REQUIRE(loan);
    const Context context(runtime, 0);
    const Stream stream(*runtime);
    const DeviceMemory device(*runtime, 4);
    std::string back(4, ' ');
    copy_async(device.data(), 4, pages.bytes.data() + 64, 4, CopyKind::kHostToDevice, stream);
    stream.synchronize();
    npuserve::acl::copy(*runtime, back.data(), 4, device.data(), 4, CopyKind::kDeviceToHost);
    CHECK(back == "good");
  }
  CHECK_FALSE(registrar.lend(pages.bytes.subspan(65, 4)));  // no boundary of 64 bytes
  registrar.remove(pages.bytes.data());
  registrar.remove(pages.bytes.data());
  CHECK(*pages.released);
  CHECK(registrar.lent() == 1);
  CHECK(runtime->failed_releases() == 0);
}

TEST_CASE("memory in use is taken from the device when it is given back" * needs_device()) {
  const auto runtime = open_runtime();
  HostRegistrar registrar(runtime, 0);
  Pages pages;
  REQUIRE(registrar.add(pages.bytes, std::exchange(pages.owner, nullptr)));
  npuserve::core::Loan loan = registrar.lend(pages.bytes);
  REQUIRE(loan);
  std::thread owner([&] { registrar.remove(pages.bytes.data()); });
  while (registrar.lend(pages.bytes)) std::this_thread::yield();
  CHECK_FALSE(*pages.released);
  loan = {};
  owner.join();
  CHECK(*pages.released);
  CHECK(runtime->failed_releases() == 0);
}

TEST_CASE("what the driver refuses to register is not lent, and is let go of" * needs_device()) {
  const Fault fault("aclrtHostRegisterV2:1:207001");
  const auto runtime = open_runtime();
  HostRegistrar registrar(runtime, 0);
  Pages pages;
  CHECK(code_of([&] { registrar.add(pages.bytes, std::exchange(pages.owner, nullptr)); }) == 207001);
  CHECK_FALSE(registrar.lend(pages.bytes));
  CHECK(*pages.released);
  Pages others;
  CHECK(registrar.add(others.bytes, others.owner));
  CHECK(registrar.lend(others.bytes));
}

TEST_CASE("a registrar that is cleared has given back all memory and its device" * needs_device()) {
  const auto runtime = open_runtime();
  HostRegistrar registrar(runtime, 0);
  CHECK_FALSE(runtime->uses_device(0));
  std::vector<Pages> all(3);
  for (Pages& pages : all) REQUIRE(registrar.add(pages.bytes, std::exchange(pages.owner, nullptr)));
  CHECK(runtime->uses_device(0));
  registrar.clear();
  for (const Pages& pages : all) CHECK(*pages.released);
  CHECK_FALSE(runtime->uses_device(0));
  CHECK(runtime->failed_releases() == 0);
  runtime->close();
  registrar.clear();
}
