// Device memory, and host memory that the device can copy from and to by itself (pinned): allocated, or registered.
// What is allocated is uninitialised and counted in Runtime::allocations().
//
// Threads: any. Release does not wait for work that uses the block: synchronize first.
#pragma once

#include <cstddef>
#include <span>

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

// Memory of others, pinned for as long as this lives.
class RegisteredMemory {
 public:
  // Whether the library can; a driver may refuse all the same.
  static bool can_register(const Runtime& runtime);

  // Blocks while the pages are pinned. REQUIRES: can_register(); a current context, for the release too; memory that
  // starts at a page and stays mapped. Throws Error.
  RegisteredMemory(Runtime& runtime, std::span<std::byte> memory);

 private:
  Owned<void*> registration_;
};

}  // namespace npuserve::acl
