// The life of one vendor handle: moved, never copied, released once.
#pragma once

#include <memory>
#include <utility>

#include "acl/runtime.h"

namespace npuserve::acl {

template <class Handle>
class Owned {
 public:
  using Release = void (*)(Runtime&, Handle) noexcept;

  Owned(Runtime& runtime, Handle handle, Release release)
      : runtime_(runtime.shared_from_this()), handle_(handle), release_(release) {}
  ~Owned() {
    if (runtime_) release_(*runtime_, handle_);
  }
  Owned(Owned&& other) noexcept = default;
  Owned& operator=(Owned&& other) noexcept {
    Owned moved(std::move(other));
    std::swap(runtime_, moved.runtime_);
    std::swap(handle_, moved.handle_);
    std::swap(release_, moved.release_);
    return *this;
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

  // REQUIRES: not moved from.
  [[nodiscard]] Runtime& runtime() const noexcept { return *runtime_; }
  [[nodiscard]] Handle get() const noexcept { return handle_; }

 private:
  std::shared_ptr<Runtime> runtime_;  // null once moved from, and then there is nothing to release
  Handle handle_;
  Release release_;
};

}  // namespace npuserve::acl
