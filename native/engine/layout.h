// How requests' tensors lie in a slot: the check at the door, the gathering of rows, the cutting of results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/request.h"
#include "core/signature.h"
#include "engine/executor.h"

namespace npuserve::engine {

// Immutable after construction; any thread.
class Layout {
 public:
  // max_batch_size: 0 if axis 0 of the tensors is not the batch.
  // variable_output_axes: per output, the axes of its full shape that follow a request's own length, which is the size
  // of the first variable non-batch axis among its inputs.
  // Throws std::invalid_argument if these contradict the signature.
  Layout(core::Signature signature, int64_t max_batch_size, std::vector<std::vector<int64_t>> variable_output_axes);

  const core::Signature& signature() const { return signature_; }
  bool batched() const { return max_batch_size_ > 0; }

  // Throws std::invalid_argument unless the counts, ranks, fixed dimensions, rows and byte sizes fit the model. Whether
  // a gear holds the request is not asked here.
  void check(const core::Request& request) const;

  // Says which inputs contradict each other: two variable axes of one size in every gear must have one in a request.
  // Empty if none do. REQUIRES: checked inputs.
  std::string disagreement(std::span<const core::TensorView> inputs) const;

  // The sizes of the variable non-batch axes, one after another: checked inputs with equal ones have equal rows.
  std::vector<int64_t> variable_sizes(std::span<const core::TensorView> inputs) const;

  // Writes an input's rows of the requests one after another, each padded with zeros to the gear's row, then rows of
  // zeros. REQUIRES: checked requests, which the gear holds.
  void gather(size_t input, std::span<const core::Request> requests, size_t gear, std::byte* to) const;

  // Whether the input is, byte for byte, what gather() would write of the request alone.
  bool fills(size_t input, const core::Request& request, size_t gear) const;

  // Hands the request its rows of the outputs, from `first_row` on, cut to its own length.
  core::Status deliver(const core::Request& request, int64_t first_row, size_t gear, const SlotBuffers& buffers) const;

  // Hands the request its own inputs as its outputs. REQUIRES: outputs of the inputs' dtypes and shapes.
  core::Status return_inputs(const core::Request& request) const;

  // The rows that a gear executes; 1 if the model does not batch.
  int64_t rows_of(size_t gear) const { return batched() ? signature_.gears[gear].input_shapes.front().front() : 1; }

 private:
  struct Axis {
    size_t input;
    size_t axis;
  };

  void check_sizes() const;
  void check_max_batch_size() const;
  void check_outputs() const;
  void check_variable_axis(size_t output, int64_t axis) const;
  void check_input(const core::TensorView& input, const core::TensorSpec& spec, int64_t rows) const;
  std::vector<Axis> find_variable_axes() const;
  static int64_t size_of(const Axis& axis, std::span<const core::TensorView> inputs);
  bool always_equal(const Axis& a, const Axis& b) const;
  std::vector<std::pair<Axis, Axis>> find_tied_axes() const;

  core::Signature signature_;
  int64_t max_batch_size_;
  std::vector<std::vector<int64_t>> variable_output_axes_;
  std::vector<Axis> variable_axes_;  // of the inputs, without the batch; the first is a request's length
  std::vector<std::pair<Axis, Axis>> tied_axes_;
};

}  // namespace npuserve::engine
