// How requests' tensors lie in a slot: the check at the door, the gathering of rows, the cutting of results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/request.h"
#include "core/signature.h"
#include "engine/executor.h"

namespace npuserve::engine {

// What is known of positions beyond a request's length.
struct PaddingOptions {
  std::string mask_input;                  // 0 where a position does not count; empty: there is none
  std::map<std::string, double> values{};  // by input, what fills it there; 0 for the others
  bool detect = false;                     // whether positions that the mask ends before are cut from requests
};

// Immutable after construction; any thread.
class Layout {
 public:
  // max_batch_size: 0 if axis 0 of the tensors is not the batch.
  // variable_output_axes: per output, the axes of its full shape that follow a request's own length, which is the size
  // of the first variable non-batch axis among its inputs.
  // Throws std::invalid_argument if these contradict the signature.
  Layout(core::Signature signature, int64_t max_batch_size, std::vector<std::vector<int64_t>> variable_output_axes,
         const PaddingOptions& padding = {});

  const core::Signature& signature() const { return signature_; }
  bool batched() const { return max_batch_size_ > 0; }

  // Throws std::invalid_argument unless the counts, ranks, fixed dimensions, rows and byte sizes fit the model. Whether
  // a gear holds the request is not asked here.
  void check(const core::Request& request) const;

  // Says which inputs contradict each other: two variable axes of one size in every gear must have one in a request.
  // Empty if none do. REQUIRES: checked inputs.
  std::string disagreement(std::span<const core::TensorView> inputs) const;

  // Shortens the inputs' shapes to what the mask counts, if the options ask for it; memory and answer keep the length
  // that was sent. Leaves a request that has more than one length. REQUIRES: checked inputs that do not disagree.
  void cut_padding(core::Request& request) const;

  // The sizes of the variable non-batch axes, one after another: checked inputs with equal ones have equal rows.
  std::vector<int64_t> variable_sizes(std::span<const core::TensorView> inputs) const;

  // Writes an input's rows of the requests one after another, each filled up to the gear's row with the input's
  // padding, then rows of that. REQUIRES: checked requests, which the gear holds.
  void gather(size_t input, std::span<const core::Request> requests, size_t gear, std::byte* to) const;

  // Whether the input is, byte for byte, what gather() would write of the request alone.
  bool fills(size_t input, const core::Request& request, size_t gear) const;

  // Hands the request its rows of the outputs, from `first_row` on, cut to its own length. Positions that were cut from
  // it are zeros in outputs that follow the length.
  core::Status deliver(const core::Request& request, int64_t first_row, size_t gear, const SlotBuffers& buffers) const;

  // Hands the request its own inputs as its outputs. REQUIRES: outputs of the inputs' dtypes and shapes.
  core::Status return_inputs(const core::Request& request) const;

  // The rows that a gear executes; 1 if the model does not batch.
  int64_t rows_of(size_t gear) const { return batched() ? signature_.gears[gear].input_shapes.front().front() : 1; }

  // The size of the first variable non-batch axis: a gear's, a request's; 1 if the model has none.
  int64_t length_of(size_t gear) const;
  int64_t length_of(const core::Request& request) const;

  // The largest of the gears' lengths; 0 if the model has no variable non-batch axis.
  size_t longest() const;

  // "8x128": a gear's rows and the sizes of its variable non-batch axes, without those that others tell.
  std::string label_of(size_t gear) const;

 private:
  struct Axis {
    size_t input;
    size_t axis;
  };

  void set_padding(const PaddingOptions& padding);
  size_t find_input(const std::string& name) const;
  core::Shape sent_shape(size_t input, const core::Request& request) const;
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
  std::vector<std::vector<std::byte>> padding_;  // by input, one element
  std::optional<size_t> detected_mask_;          // the input that tells where requests end, if that is asked for
};

}  // namespace npuserve::engine
