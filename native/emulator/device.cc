#include "emulator/device.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "emulator/errors.h"
#include "emulator/settings.h"

namespace emulator {
namespace {

// Of an Atlas A2 device, default streams included.
constexpr std::size_t kMostStreams = 1984;

struct Device {
  std::shared_ptr<Context> primary;
  std::uint64_t users = 0;
};

struct Devices {
  std::mutex mutex;
  std::map<int, Device> devices;    // guarded by mutex
  std::int32_t next_stream_id = 0;  // guarded by mutex
  HandleTable<Context> contexts;
  HandleTable<Stream> streams;
};

// Leaked on purpose: handles may be asked for while the program exits. Its threads are joined before (end_all_devices).
Devices& registry() {
  static Devices& all = *new Devices();
  return all;
}

// REQUIRES: the registry's mutex held.
std::int32_t take_stream_id(Devices& all, int device) {
  if (streams_of(device).size() >= kMostStreams) {
    refuse(ACL_ERROR_RT_NO_STREAM_RESOURCE, "device " + std::to_string(device) + " has its " +
                                                std::to_string(kMostStreams) + " streams, default streams included");
  }
  return all.next_stream_id++;
}

// REQUIRES: the registry's mutex held.
std::shared_ptr<Context> add_context(Devices& all, std::int32_t device, bool primary) {
  auto context = std::make_shared<Context>(device, primary, take_stream_id(all, device));
  all.contexts.insert(context->handle(), context);
  all.streams.insert(context->default_stream_handle(), {context, &context->default_stream()});
  return context;
}

// Whether the device's default context must end now.
std::shared_ptr<Context> drop_user(Device& device, bool force) {
  device.users = force ? 0 : device.users - 1;
  return device.users == 0 ? std::exchange(device.primary, nullptr) : nullptr;
}

}  // namespace

HandleTable<Context>& contexts() { return registry().contexts; }
HandleTable<Stream>& streams() { return registry().streams; }

void require_device(std::int32_t device) {
  const int count = settings().device_count;
  if (device < 0 || device >= count) {
    refuse(ACL_ERROR_RT_INVALID_DEVICEID,
           "device " + std::to_string(device) + " is not one of the " + std::to_string(count) + " visible devices");
  }
}

std::vector<std::shared_ptr<Stream>> streams_of(int device) {
  std::vector<std::shared_ptr<Stream>> found = streams().all();
  std::erase_if(found, [&](const auto& stream) { return stream->context().device() != device; });
  return found;
}

std::uint32_t available_streams(int device) {
  return static_cast<std::uint32_t>(kMostStreams - streams_of(device).size());
}

std::shared_ptr<Context> make_context(std::int32_t device, bool primary) {
  require_device(device);
  Devices& all = registry();
  const std::lock_guard lock(all.mutex);
  return add_context(all, device, primary);
}

aclrtStream make_stream(Context& context) {
  Devices& all = registry();
  const std::lock_guard lock(all.mutex);
  const std::int32_t id = take_stream_id(all, context.device());
  return all.streams.create(std::make_shared<Stream>(context, id, context.shared_from_this()));
}

void end_context(const std::shared_ptr<Context>& context, bool drop) {
  context->mark_destroyed();
  contexts().destroy(context->handle());
  for (const auto& stream : streams().take_if([&](const Stream& each) { return &each.context() == context.get(); })) {
    stream->close(drop);
  }
}

void use_device(std::int32_t device) {
  require_device(device);
  Devices& all = registry();
  const std::lock_guard lock(all.mutex);
  Device& used = all.devices[device];
  if (used.primary == nullptr) used.primary = add_context(all, device, true);
  ++used.users;
  set_current_context(used.primary);
}

void leave_device(std::int32_t device, bool force) {
  require_device(device);
  std::shared_ptr<Context> ending;
  {
    Devices& all = registry();
    const std::lock_guard lock(all.mutex);
    Device& left = all.devices[device];
    require(left.users > 0, ACL_ERROR_RT_CONTEXT_RELEASE_ERROR,
            "the device was reset more often than it was set, or never set");
    ending = drop_user(left, force);
  }
  if (ending != nullptr) end_context(ending, force);
}

bool in_use(std::int32_t device) {
  require_device(device);
  Devices& all = registry();
  const std::lock_guard lock(all.mutex);
  const auto found = all.devices.find(device);
  return found != all.devices.end() && found->second.primary != nullptr;
}

void synchronize_device(int device, Timeout timeout) {
  using Clock = std::chrono::steady_clock;
  const auto end = timeout ? std::optional(Clock::now() + *timeout) : std::nullopt;
  const std::vector<std::shared_ptr<Stream>> all = streams_of(device);
  for (const auto& stream : all) {
    Timeout left;
    if (end) left = std::max(Timeout::value_type{0}, std::chrono::ceil<Timeout::value_type>(*end - Clock::now()));
    require(stream->wait(left), ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "the time is over, the device's work goes on");
  }
  Failure first;
  for (const auto& stream : all) {
    Failure failure = stream->take_failure();
    if (first.code == ACL_SUCCESS) first = std::move(failure);
  }
  if (first.code != ACL_SUCCESS) throw Refusal(std::move(first));
}

void end_all_devices() {
  for (const auto& context : contexts().all()) end_context(context, true);
  Devices& all = registry();
  const std::lock_guard lock(all.mutex);
  all.devices.clear();
}

}  // namespace emulator
