// An initialised AscendCL: the process-wide state that every other object of this room needs.
//
// Threads: any, except close(), which must not run beside another call.
// Ownership: shared by every owner of a vendor handle, so it outlives them all. Never keep one in a static object:
// the vendor forbids aclFinalize while the process tears down.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "acl/library.h"
#include "core/mutex.h"

namespace npuserve::acl {

class Runtime : public std::enable_shared_from_this<Runtime> {
 public:
  // Calls aclInit. A process that is initialised already counts as success. Throws Error.
  static std::shared_ptr<Runtime> create(std::shared_ptr<const Library> library);

  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Finalizes AscendCL. Owners that are still alive then release nothing. Idempotent. Throws Error.
  void close();
  [[nodiscard]] bool is_open() const noexcept { return open_.load(std::memory_order_acquire); }

  [[nodiscard]] int device_count() const;
  // As atc's --soc_version wants it: "Ascend910B3". Throws Error when the driver does not tell.
  [[nodiscard]] std::string soc_name() const;

  // Whether a Device is alive, so that using the device once more neither starts nor ends it.
  [[nodiscard]] bool uses_device(int id) const EXCLUDES_LOCK(devices_mutex_);

  // Blocks of device and pinned host memory ever allocated through this runtime.
  [[nodiscard]] std::uint64_t allocations() const noexcept { return allocations_.load(std::memory_order_relaxed); }
  // Handles whose release the driver refused, which a destructor has no way to tell its caller.
  [[nodiscard]] std::uint64_t failed_releases() const noexcept {
    return failed_releases_.load(std::memory_order_relaxed);
  }
  // The last of them, worded as an Error; empty if there was none.
  [[nodiscard]] std::string last_failed_release() const EXCLUDES_LOCK(failure_mutex_);

  [[nodiscard]] const Library& library() const noexcept { return *library_; }
  [[nodiscard]] const FunctionTable& functions() const noexcept { return library_->functions(); }

  // For the owners of this room.
  void count_allocation() noexcept { allocations_.fetch_add(1, std::memory_order_relaxed); }
  void count_device_user(int id) EXCLUDES_LOCK(devices_mutex_);
  void forget_device_user(int id) noexcept EXCLUDES_LOCK(devices_mutex_);
  void note_failed_release(const char* call, int code) noexcept EXCLUDES_LOCK(failure_mutex_);

 private:
  explicit Runtime(std::shared_ptr<const Library> library);

  const std::shared_ptr<const Library> library_;
  bool initialised_here_ = false;
  std::atomic<bool> open_{true};
  std::atomic<std::uint64_t> allocations_{0};
  std::atomic<std::uint64_t> failed_releases_{0};
  mutable core::Mutex devices_mutex_;
  std::map<int, int> device_users_ GUARDED_BY(devices_mutex_);
  mutable core::Mutex failure_mutex_;
  std::string last_failed_release_ GUARDED_BY(failure_mutex_);
};

}  // namespace npuserve::acl
