// Memory of others that one device copies from by itself: shared memory which clients registered.
//
// Threads: lend() and lent() any; the rest blocks and leaves its thread with the registrar's context current.
// Ownership: a loan must not outlive the registrar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "acl/context.h"
#include "acl/memory.h"
#include "acl/runtime.h"
#include "core/lending.h"
#include "core/mutex.h"

namespace npuserve::acl {

class HostRegistrar {
 public:
  // Uses the device from the first add() on.
  HostRegistrar(std::shared_ptr<Runtime> runtime, int device);
  ~HostRegistrar();
  HostRegistrar(const HostRegistrar&) = delete;
  HostRegistrar& operator=(const HostRegistrar&) = delete;

  // Has the device copy from the memory by itself; false if the library cannot. owner: keeps the memory mapped; let go
  // of once the device has. REQUIRES: memory that starts at a page. Throws Error if the driver refuses.
  bool add(std::span<std::byte> memory, std::shared_ptr<const void> owner) EXCLUDES_LOCK(mutex_);

  // Waits until nobody uses the memory that starts there, and takes it from the device. It need not be there.
  void remove(const std::byte* start) EXCLUDES_LOCK(mutex_);

  // remove() of everything, and lets go of the device. What the driver refuses is counted by the runtime.
  void clear() noexcept EXCLUDES_LOCK(mutex_);

  // Lends what the device can copy from by itself: nothing else, and nothing that starts off the boundary of 64 bytes
  // that buffers of the driver have.
  core::Loan lend(std::span<const std::byte> memory) noexcept;

  // Loans ever made.
  uint64_t lent() const noexcept { return table_.lent(); }

 private:
  struct Entry {
    std::shared_ptr<const void> owner;
    RegisteredMemory registration;  // goes first
  };

  void withdraw(std::map<const std::byte*, Entry>::iterator entry) REQUIRES_LOCK(mutex_);

  const std::shared_ptr<Runtime> runtime_;
  const int device_;
  core::LendingTable table_;
  core::Mutex mutex_;
  std::optional<Context> context_ GUARDED_BY(mutex_);
  std::map<const std::byte*, Entry> entries_ GUARDED_BY(mutex_);
};

}  // namespace npuserve::acl
