// Device memory, and host memory that the device can copy from and to by itself (pinned). Uninitialised; each counted
// in Runtime::allocations().
//
// Threads: any. Release does not wait for work that uses the block: synchronize first.
#pragma once

#include <cstddef>

#include "acl/owned.h"

namespace npuserve::acl {

class DeviceMemory {
 public:
  // Device memory of the calling thread's current context. REQUIRES: size_bytes > 0. Throws Error.
  DeviceMemory(Runtime& runtime, std::size_t size_bytes);

  // A device address: not for the host to read. Aligned to 64 bytes.
  [[nodiscard]] void* data() const noexcept { return memory_.get(); }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

 private:
  Owned<void*> memory_;
  std::size_t size_bytes_;
};

class PinnedMemory {
 public:
  // REQUIRES: size_bytes > 0, a current context. Throws Error.
  PinnedMemory(Runtime& runtime, std::size_t size_bytes);

  // Aligned to 64 bytes.
  [[nodiscard]] std::byte* data() const noexcept { return static_cast<std::byte*>(memory_.get()); }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

 private:
  Owned<void*> memory_;
  std::size_t size_bytes_;
};

}  // namespace npuserve::acl
