// Copies and fills. Synchronous ones neither wait for streams nor order with them.
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "emulator/arena.h"
#include "emulator/context.h"
#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/stream.h"

namespace emulator {
namespace {

// One end of a copy: where the bytes are, and what keeps them there while the copy is queued.
struct End {
  Where where;
  std::byte* bytes;
  std::shared_ptr<const void> hold;

  bool on_device() const { return where == Where::device; }
  bool pinned() const { return where == Where::device || where == Where::pinned_host; }
};

End find_end(const char* name, const void* address, std::size_t count) {
  const Where where = locate(address);
  if (where != Where::device && where != Where::pinned_host) {
    return {where, static_cast<std::byte*>(const_cast<void*>(address)), nullptr};
  }
  Pin held = pin(address, count);
  if (!held) {
    refuse(ACL_ERROR_RT_PARAM_INVALID, std::string(name) + " with " + std::to_string(count) +
                                           " bytes does not lie within one live " +
                                           (where == Where::device ? "device" : "pinned host") + " allocation");
  }
  return {where, held.view, std::move(held.hold)};
}

// -1: host memory.
int device_of(const void* address) {
  const std::optional<Block> block = find_block(address);
  return block ? block->device : -1;
}

struct Direction {
  bool from_device;
  bool to_device;
};

// What the kind says; nothing for ACL_MEMCPY_DEFAULT.
std::optional<Direction> direction_of(aclrtMemcpyKind kind) {
  switch (kind) {
    case ACL_MEMCPY_HOST_TO_HOST:
      return Direction{false, false};
    case ACL_MEMCPY_HOST_TO_DEVICE:
    case ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE:
      return Direction{false, true};
    case ACL_MEMCPY_DEVICE_TO_HOST:
      return Direction{true, false};
    case ACL_MEMCPY_DEVICE_TO_DEVICE:
      return Direction{true, true};
    case ACL_MEMCPY_DEFAULT:
      return std::nullopt;
    default:
      refuse(ACL_ERROR_INVALID_PARAM, "kind " + std::to_string(static_cast<int>(kind)) + " is not allowed here");
  }
}

void require_end_as_said(const char* name, const End& end, bool on_device) {
  if (end.on_device() == on_device) return;
  refuse(ACL_ERROR_RT_PARAM_INVALID, std::string(name) + " is " + (on_device ? "host" : "device") +
                                         " memory, but the kind says " + (on_device ? "device" : "host"));
}

struct Copy {
  End destination;
  End source;
  std::size_t count;

  // The two may overlap, as nothing forbids it.
  void run() const { std::memmove(destination.bytes, source.bytes, count); }
};

// Checks the arguments; nothing to copy gives nothing.
std::optional<Copy> plan(void* dst, std::size_t dest_max, const void* src, std::size_t count, aclrtMemcpyKind kind) {
  const std::optional<Direction> said = direction_of(kind);
  if (count == 0) return std::nullopt;
  require(dst != nullptr && src != nullptr, ACL_ERROR_INVALID_PARAM, "dst or src is NULL");
  if (count > dest_max) {
    refuse(ACL_ERROR_RT_PARAM_INVALID,
           "count " + std::to_string(count) + " is above destMax " + std::to_string(dest_max));
  }
  if (dst == src) return std::nullopt;
  Copy copy{find_end("dst", dst, count), find_end("src", src, count), count};
  if (said) {
    require_end_as_said("dst", copy.destination, said->to_device);
    require_end_as_said("src", copy.source, said->from_device);
  }
  if (copy.destination.on_device() && copy.source.on_device()) {
    require(device_of(dst) == device_of(src), ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
            "the devices of dst and src have no access to each other");
  }
  return copy;
}

void copy_async(const Copy& copy, Stream& stream) {
  require(copy.destination.on_device() || copy.source.on_device(), ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
          "an asynchronous copy from host to host is not supported");
  stream.enqueue([copy] {
    copy.run();
    return ACL_SUCCESS;
  });
  // The device cannot reach pageable memory by itself, so the caller waits until the driver has copied it.
  if (!copy.destination.pinned() || !copy.source.pinned()) stream.synchronize();
}

// Nothing to fill gives nothing.
std::optional<End> plan_fill(void* address, std::size_t max_count, std::size_t count) {
  require(address != nullptr, ACL_ERROR_INVALID_PARAM, "devPtr is NULL");
  require(count <= max_count, ACL_ERROR_RT_PARAM_INVALID, "count is above maxCount");
  if (count == 0) return std::nullopt;
  return find_end("devPtr", address, count);
}

}  // namespace
}  // namespace emulator

using namespace emulator;

aclError aclrtMemcpy(void* dst, size_t dest_max, const void* src, size_t count, aclrtMemcpyKind kind) {
  return exported(__func__, [&] {
    require_context();
    if (const std::optional<Copy> copy = plan(dst, dest_max, src, count, kind)) copy->run();
  });
}

aclError aclrtMemcpyAsync(void* dst, size_t dest_max, const void* src, size_t count, aclrtMemcpyKind kind,
                          aclrtStream stream) {
  return exported(__func__, [&] {
    const std::shared_ptr<Stream> target = require_own_stream(stream, require_context());
    if (const std::optional<Copy> copy = plan(dst, dest_max, src, count, kind)) copy_async(*copy, *target);
  });
}

aclError aclrtMemset(void* dev_ptr, size_t max_count, int32_t value, size_t count) {
  return exported(__func__, [&] {
    require_context();
    if (const std::optional<End> end = plan_fill(dev_ptr, max_count, count)) std::memset(end->bytes, value, count);
  });
}

aclError aclrtMemsetAsync(void* dev_ptr, size_t max_count, int32_t value, size_t count, aclrtStream stream) {
  return exported(__func__, [&] {
    const std::shared_ptr<Stream> target = require_own_stream(stream, require_context());
    const std::optional<End> end = plan_fill(dev_ptr, max_count, count);
    if (!end) return;
    require(end->pinned(), ACL_ERROR_RT_PARAM_INVALID, "devPtr is pageable host memory");
    target->enqueue([end = *end, value, count] {
      std::memset(end.bytes, value, count);
      return ACL_SUCCESS;
    });
  });
}
