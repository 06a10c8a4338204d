// Contexts, streams and events: their lives, their threads, their failures.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "acl/context.h"
#include "acl/copy.h"
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
using npuserve::acl::Context;
using npuserve::acl::copy_async;
using npuserve::acl::CopyKind;
using npuserve::acl::DeviceMemory;
using npuserve::acl::Event;
using npuserve::acl::PinnedMemory;
using npuserve::acl::Runtime;
using npuserve::acl::Stream;

namespace {

constexpr int kNoContext = 107002;
constexpr int kForeignStream = 107003;
constexpr int kAicoreException = 507015;

int code_of_new_stream(Runtime& runtime) {
  return code_of([&] { const Stream stream(runtime); });
}

// One device-to-host copy of one block, enqueued.
struct Copy {
  explicit Copy(Runtime& runtime) : device(runtime, 64), host(runtime, 64) {}
  void enqueue(const Stream& stream) const {
    copy_async(host.data(), 64, device.data(), 64, CopyKind::kDeviceToHost, stream);
  }
  DeviceMemory device;
  PinnedMemory host;
};

}  // namespace

TEST_CASE("a context is current for the thread that makes it, and for others once they ask" * needs_device()) {
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  CHECK(context.device() == 0);
  CHECK(code_of_new_stream(*runtime) == 0);
  int before = 0;
  int after = -1;
  std::thread other([&] {
    before = code_of_new_stream(*runtime);
    context.make_current();
    after = code_of_new_stream(*runtime);
  });
  other.join();
  CHECK(before == kNoContext);
  CHECK(after == 0);
}

TEST_CASE("a context that cannot be made leaves no reference on its device" * needs_device()) {
  const Fault fault("aclrtCreateContext:1:207001");
  const auto runtime = open_runtime();
  CHECK(code_of([&] { const Context context(runtime, 0); }) == 207001);
  CHECK(runtime->functions().aclrtResetDevice(0) != 0);  // there is nothing left to reset
  CHECK(runtime->failed_releases() == 0);
}

TEST_CASE("timed events tell what lies between them, plain ones nothing" * needs_device()) {
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const Stream stream(*runtime);
  const Copy copy(*runtime);
  REQUIRE(Event::can_time(*runtime));
  const Event start(*runtime, true);
  const Event end(*runtime, true);
  CHECK(code_of([&] { Event::elapsed_ns(start, end); }) == 507000);  // no mark yet
  start.record(stream);
  copy.enqueue(stream);
  end.record(stream);
  end.synchronize();
  CHECK(Event::elapsed_ns(start, end) >= 0);
  const Event plain(*runtime);
  plain.record(stream);
  plain.synchronize();
  CHECK(code_of([&] { Event::elapsed_ns(start, plain); }) == 107006);
}

TEST_CASE("contexts, streams and events are released once, however often they move" * needs_device()) {
  const auto runtime = open_runtime();
  {
    Context context(runtime, 0);
    Context moved_context(std::move(context));
    Stream stream(*runtime);
    Stream moved_stream(std::move(stream));
    Event event(*runtime);
    Event moved_event(std::move(event));
    moved_event = Event(*runtime);
    moved_stream = Stream(*runtime);
    moved_event.record(moved_stream);
    CHECK_NOTHROW(moved_event.synchronize());
  }
  CHECK(runtime->failed_releases() == 0);
  CHECK_NOTHROW(runtime->close());
}

TEST_CASE("a stream that cannot be had is busy, not broken" * needs_device()) {
  const Fault fault("aclrtCreateStream:1:207008");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  CHECK(code_of_new_stream(*runtime) == 207008);
  CHECK(code_of_new_stream(*runtime) == 0);
}

TEST_CASE("an event that cannot be had says so" * needs_device()) {
  const Fault fault("aclrtCreateEventExWithFlag:1:207007");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  CHECK(code_of([&] { const Event event(*runtime); }) == 207007);
}

TEST_CASE("an event is passed once the work before it is done" * needs_device()) {
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const Stream stream(*runtime);
  const Event event(*runtime);
  CHECK_NOTHROW(event.synchronize());  // never recorded
  PinnedMemory source(*runtime, 64);
  const PinnedMemory target(*runtime, 64);
  const DeviceMemory device(*runtime, 64);
  for (int round = 1; round <= 3; ++round) {
    std::memset(source.data(), round, source.size_bytes());
    copy_async(device.data(), 64, source.data(), 64, CopyKind::kHostToDevice, stream);
    copy_async(target.data(), 64, device.data(), 64, CopyKind::kDeviceToHost, stream);
    event.record(stream);
    event.synchronize();
    CHECK(static_cast<int>(target.data()[63]) == round);
  }
}

TEST_CASE("work that fails on the device is an error of the next synchronize, once" * needs_device()) {
  const Fault fault("aclrtMemcpyAsync:1:507015:sync");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const Stream stream(*runtime);
  const Copy copy(*runtime);
  CHECK_NOTHROW(copy.enqueue(stream));
  CHECK(code_of([&] { stream.synchronize(); }) == kAicoreException);
  CHECK_NOTHROW(stream.synchronize());
}

TEST_CASE("an event's wait tells of the failed work before it" * needs_device()) {
  const Fault fault("aclrtMemcpyAsync:1:507015:sync");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  const Stream stream(*runtime);
  const Event event(*runtime);
  const Copy copy(*runtime);
  copy.enqueue(stream);
  event.record(stream);
  CHECK(code_of([&] { event.synchronize(); }) == kAicoreException);
}

TEST_CASE("a stream of another context is refused" * needs_device()) {
  const auto runtime = open_runtime();
  const Context first(runtime, 0);
  const Stream stream(*runtime);
  {
    const Context second(runtime, 0);
    const Event event(*runtime);
    CHECK(code_of([&] { event.record(stream); }) == kForeignStream);
    const Copy copy(*runtime);
    CHECK(code_of([&] { copy.enqueue(stream); }) == kForeignStream);
  }
  first.make_current();
}
