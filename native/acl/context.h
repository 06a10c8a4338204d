// A device and an AscendCL context on it. Every other handle belongs to the context that was current when it was made,
// and is used and released with that context current.
//
// Threads: construction makes the context current for the calling thread; every other thread calls make_current() once
// before it uses anything of the context. Destroy it last, from any thread.
#pragma once

#include <cstdint>
#include <memory>

#include "acl/owned.h"

namespace npuserve::acl {

// A reference on a device; the driver resets the device when its last one goes.
class Device {
 public:
  // Blocks for seconds on the first use of a device. Throws Error.
  Device(Runtime& runtime, int id);

  [[nodiscard]] int id() const noexcept { return device_.get(); }

 private:
  Owned<std::int32_t> device_;
};

class Context {
 public:
  // Throws Error.
  Context(const std::shared_ptr<Runtime>& runtime, int device);

  void make_current() const;

  [[nodiscard]] int device() const noexcept { return device_.id(); }
  [[nodiscard]] Runtime& runtime() const noexcept { return context_.runtime(); }

 private:
  // In this order: the context goes before its device's reference.
  Device device_;
  Owned<void*> context_;
};

}  // namespace npuserve::acl
