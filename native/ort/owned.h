// The life of one handle of ONNX Runtime: released once, by the runtime that made it. Private to the room.
#pragma once

#include <memory>
#include <utility>

#include "ort/runtime.h"

namespace npuserve::ort {

template <class Handle>
class Owned {
 public:
  using Release = void (*)(Handle*) noexcept;

  Owned(std::shared_ptr<const Runtime> runtime, Handle* handle, Release release)
      : runtime_(std::move(runtime)), handle_(handle, release) {}

  [[nodiscard]] Handle* get() const noexcept { return handle_.get(); }
  [[nodiscard]] const Runtime& runtime() const noexcept { return *runtime_; }

 private:
  std::shared_ptr<const Runtime> runtime_;  // goes last
  std::unique_ptr<Handle, Release> handle_;
};

}  // namespace npuserve::ort
