// A tensor over memory of the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/dtype.h"
#include "core/shape.h"
#include "ort/abi.h"
#include "ort/owned.h"

namespace npuserve::ort {

class Tensor {
 public:
  // Lends the memory for the tensor's life. Throws Error; std::invalid_argument for kBytes.
  // REQUIRES: as many bytes as the shape has, and a start that is not null.
  Tensor(const std::shared_ptr<const Runtime>& runtime, core::Dtype dtype, std::span<const int64_t> shape,
         std::span<std::byte> memory);

  [[nodiscard]] OrtValue* get() const noexcept { return value_.get(); }

 private:
  Owned<OrtValue> value_;
};

}  // namespace npuserve::ort
