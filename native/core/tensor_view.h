// Tensors seen in memory that someone else owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/shape.h"

namespace npuserve::core {

// A request's input: C-contiguous little-endian elements.
struct TensorView {
  const std::byte* data = nullptr;
  size_t size_bytes = 0;
  Shape shape;  // full, with the batch dimension if the model has one
};

// A request's share of an output: `shape` elements at the origin of a dense array whose shape is `padded_shape` (the
// gear's, with the request's rows): the padding lies between the rows.
class OutputView {
 public:
  // REQUIRES: equal ranks; shape <= padded_shape on every axis. The spans must outlive the view.
  OutputView(const std::byte* data, size_t element_bytes, std::span<const int64_t> shape,
             std::span<const int64_t> padded_shape)
      : OutputView(data, element_bytes, shape, padded_shape, shape) {}

  // Of the array only `filled_shape` counts; zeros stand in for the rest of `shape`.
  // REQUIRES: filled_shape <= shape, padded_shape on every axis.
  OutputView(const std::byte* data, size_t element_bytes, std::span<const int64_t> shape,
             std::span<const int64_t> padded_shape, std::span<const int64_t> filled_shape)
      : data_(data),
        element_bytes_(element_bytes),
        shape_(shape),
        padded_shape_(padded_shape),
        filled_shape_(filled_shape) {}

  const std::byte* data() const { return data_; }
  std::span<const int64_t> shape() const { return shape_; }
  std::span<const int64_t> padded_shape() const { return padded_shape_; }
  std::span<const int64_t> filled_shape() const { return filled_shape_; }

  // Bytes without the padding.
  size_t size_bytes() const;

  // Writes size_bytes() dense bytes.
  void copy_to(std::byte* to) const;

 private:
  const std::byte* data_;
  size_t element_bytes_;
  std::span<const int64_t> shape_;
  std::span<const int64_t> padded_shape_;
  std::span<const int64_t> filled_shape_;
};

}  // namespace npuserve::core
