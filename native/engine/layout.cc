#include "engine/layout.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/block_copy.h"
#include "engine/padding.h"

namespace npuserve::engine {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw std::invalid_argument(text); }

std::string quoted(const std::string& name) { return "'" + name + "'"; }

// A gear's shape of a tensor with the batch axis replaced.
core::Shape with_rows(core::Shape shape, int64_t rows) {
  shape[0] = rows;
  return shape;
}

}  // namespace

Layout::Layout(core::Signature signature, int64_t max_batch_size,
               std::vector<std::vector<int64_t>> variable_output_axes, const PaddingOptions& padding)
    : signature_(std::move(signature)),
      max_batch_size_(max_batch_size),
      variable_output_axes_(std::move(variable_output_axes)),
      variable_axes_(find_variable_axes()),
      tied_axes_(find_tied_axes()) {
  if (signature_.gears.empty()) refuse("the model has no gear");
  check_sizes();
  if (max_batch_size_ < 0) refuse("max_batch_size is " + std::to_string(max_batch_size_) + ", must be 0 or more");
  check_max_batch_size();
  check_outputs();
  set_padding(padding);
}

void Layout::set_padding(const PaddingOptions& padding) {
  for (const core::TensorSpec& input : signature_.inputs) {
    padding_.emplace_back(core::dtype_size_bytes(input.dtype), std::byte{0});
  }
  for (const auto& [name, value] : padding.values) {
    const size_t input = find_input(name);
    if (name == padding.mask_input && value != 0) refuse("the padding of the mask " + quoted(name) + " must be 0");
    try {
      padding_[input] = padding_element(signature_.inputs[input].dtype, value);
    } catch (const std::invalid_argument& error) {
      refuse("input " + quoted(name) + ": " + error.what());
    }
  }
  const size_t mask = padding.mask_input.empty() ? 0 : find_input(padding.mask_input);
  if (!padding.detect) return;
  if (padding.mask_input.empty()) refuse("padding can be detected by a mask only, and the model has none");
  const bool one_length =
      std::ranges::all_of(variable_axes_, [&](const Axis& axis) { return always_equal(variable_axes_.front(), axis); });
  if (!batched() || variable_axes_.empty() || !one_length) {
    refuse("padding can be detected only where requests have rows, and one length for all inputs");
  }
  const core::Shape& shape = signature_.inputs[mask].shape;
  if (shape.size() != 2 || shape[1] != -1) {
    refuse("the mask " + quoted(padding.mask_input) + " must have the shape [-1,-1] for padding to be detected by it");
  }
  detected_mask_ = mask;
}

size_t Layout::find_input(const std::string& name) const {
  const auto input = std::ranges::find(signature_.inputs, name, &core::TensorSpec::name);
  if (input == signature_.inputs.end()) refuse("the model has no input " + quoted(name));
  return static_cast<size_t>(input - signature_.inputs.begin());
}

std::vector<Layout::Axis> Layout::find_variable_axes() const {
  std::vector<Axis> variable;
  for (size_t input = 0; input < signature_.inputs.size(); ++input) {
    const core::Shape& shape = signature_.inputs[input].shape;
    for (size_t axis = batched() ? 1 : 0; axis < shape.size(); ++axis) {
      if (shape[axis] == -1) variable.push_back({input, axis});
    }
  }
  return variable;
}

// What is computed with a gear's sizes from here on cannot overflow.
void Layout::check_sizes() const {
  for (const core::Gear& gear : signature_.gears) {
    for (size_t i = 0; i < signature_.inputs.size(); ++i) {
      (void)core::byte_count(gear.input_shapes[i], core::dtype_size_bytes(signature_.inputs[i].dtype));
    }
    for (size_t i = 0; i < signature_.outputs.size(); ++i) {
      (void)core::byte_count(gear.output_shapes[i], core::dtype_size_bytes(signature_.outputs[i].dtype));
    }
  }
}

// Whether the gears give both axes one size, as they do for the lengths of token ids and their mask.
bool Layout::always_equal(const Axis& a, const Axis& b) const {
  return std::ranges::all_of(signature_.gears, [&](const core::Gear& gear) {
    return gear.input_shapes[a.input][a.axis] == gear.input_shapes[b.input][b.axis];
  });
}

std::vector<std::pair<Layout::Axis, Layout::Axis>> Layout::find_tied_axes() const {
  std::vector<std::pair<Axis, Axis>> tied;
  if (!batched()) return tied;  // shapes are those of a gear, exactly
  std::vector<Axis> firsts;
  for (const Axis& here : variable_axes_) {
    const auto first = std::ranges::find_if(
        firsts, [&](const Axis& other) { return other.input != here.input && always_equal(other, here); });
    if (first == firsts.end()) {
      firsts.push_back(here);
    } else {
      tied.emplace_back(*first, here);
    }
  }
  return tied;
}

void Layout::check_max_batch_size() const {
  if (!batched()) return;
  int64_t most = 0;
  for (const core::Gear& gear : signature_.gears) {
    for (size_t i = 0; i < signature_.inputs.size(); ++i) {
      const std::string input = "input " + quoted(signature_.inputs[i].name);
      const core::Shape& shape = gear.input_shapes[i];
      if (shape.empty()) refuse(input + " has no batch dimension, but max_batch_size is not 0");
      if (shape[0] != gear.input_shapes[0][0]) refuse(input + " has another batch size than the first input in a gear");
      most = std::max(most, shape[0]);
    }
  }
  if (max_batch_size_ > most) {
    refuse("max_batch_size is " + std::to_string(max_batch_size_) + ", but the largest gear holds " +
           std::to_string(most) + " rows");
  }
}

void Layout::check_outputs() const {
  const size_t count = signature_.outputs.size();
  if (variable_output_axes_.size() != count) {
    refuse("variable_output_axes has " + std::to_string(variable_output_axes_.size()) + " entries for " +
           std::to_string(count) + " outputs");
  }
  for (size_t i = 0; i < count; ++i) {
    for (const core::Gear& gear : signature_.gears) {
      const core::Shape& shape = gear.output_shapes[i];
      if (batched() && (shape.empty() || shape[0] != gear.input_shapes[0][0])) {
        refuse("output " + quoted(signature_.outputs[i].name) + " of shape " + core::format_shape(shape) +
               " has not the batch dimension of the inputs, but max_batch_size is not 0");
      }
    }
    for (const int64_t axis : variable_output_axes_[i]) check_variable_axis(i, axis);
  }
}

void Layout::check_variable_axis(size_t output, int64_t axis) const {
  const std::string where =
      "variable axis " + std::to_string(axis) + " of output " + quoted(signature_.outputs[output].name);
  const auto rank = static_cast<int64_t>(signature_.outputs[output].shape.size());
  if (axis < (batched() ? 1 : 0) || axis >= rank) refuse(where + " is not one of its non-batch axes");
  if (variable_axes_.empty()) refuse(where + ": no input has a variable length");
  const Axis& length_axis = variable_axes_.front();
  for (const core::Gear& gear : signature_.gears) {
    const int64_t length = gear.input_shapes[length_axis.input][length_axis.axis];
    const int64_t dim = gear.output_shapes[output][static_cast<size_t>(axis)];
    if (dim != length) {
      refuse(where + " has size " + std::to_string(dim) + " in a gear of length " + std::to_string(length));
    }
  }
}

void Layout::check(const core::Request& request) const {
  const size_t count = signature_.inputs.size();
  if (request.inputs.size() != count) {
    refuse("expected " + std::to_string(count) + " inputs, got " + std::to_string(request.inputs.size()));
  }
  const int64_t most = batched() ? max_batch_size_ : 1;
  if (request.rows < 1 || request.rows > most) {
    refuse("rows must be in 1 to " + std::to_string(most) + ", got " + std::to_string(request.rows));
  }
  for (size_t i = 0; i < count; ++i) check_input(request.inputs[i], signature_.inputs[i], request.rows);
}

std::string Layout::disagreement(std::span<const core::TensorView> inputs) const {
  const auto differ = std::ranges::find_if(tied_axes_, [&](const std::pair<Axis, Axis>& tied) {
    return inputs[tied.first.input].shape[tied.first.axis] != inputs[tied.second.input].shape[tied.second.axis];
  });
  if (differ == tied_axes_.end()) return {};
  const auto told = [&](const Axis& axis) {
    return quoted(signature_.inputs[axis.input].name) + " of shape " + core::format_shape(inputs[axis.input].shape);
  };
  return "inputs " + told(differ->first) + " and " + told(differ->second) +
         " disagree: the model was compiled for equal sizes of axis " + std::to_string(differ->first.axis) +
         " and axis " + std::to_string(differ->second.axis);
}

void Layout::cut_padding(core::Request& request) const {
  if (!detected_mask_) return;
  const core::TensorView& mask = request.inputs[*detected_mask_];
  const int64_t sent = mask.shape[1];
  // Two axes of one input may differ, though no gear's do: such a request has not one length.
  const auto is_sent = [&](const Axis& axis) { return size_of(axis, request.inputs) == sent; };
  if (sent == 0 || !std::ranges::all_of(variable_axes_, is_sent)) return;
  const int64_t used = used_length(mask, core::dtype_size_bytes(signature_.inputs[*detected_mask_].dtype));
  if (used == sent) return;
  request.sent_length = sent;
  for (const Axis& axis : variable_axes_) request.inputs[axis.input].shape[axis.axis] = used;
}

// As the input lies in memory.
core::Shape Layout::sent_shape(size_t input, const core::Request& request) const {
  core::Shape shape = request.inputs[input].shape;
  if (request.sent_length == 0) return shape;
  for (const Axis& axis : variable_axes_) {
    if (axis.input == input) shape[axis.axis] = request.sent_length;
  }
  return shape;
}

std::vector<int64_t> Layout::variable_sizes(std::span<const core::TensorView> inputs) const {
  std::vector<int64_t> sizes;
  sizes.reserve(variable_axes_.size());
  for (const Axis& axis : variable_axes_) sizes.push_back(size_of(axis, inputs));
  return sizes;
}

int64_t Layout::size_of(const Axis& axis, std::span<const core::TensorView> inputs) {
  return inputs[axis.input].shape[axis.axis];
}

void Layout::check_input(const core::TensorView& input, const core::TensorSpec& spec, int64_t rows) const {
  const auto fits = [&] {
    if (input.shape.size() != spec.shape.size()) return false;
    for (size_t axis = 0; axis < spec.shape.size(); ++axis) {
      const bool is_batch = batched() && axis == 0;
      const int64_t wanted = is_batch ? rows : spec.shape[axis];
      if (input.shape[axis] < 0 || (wanted != -1 && input.shape[axis] != wanted)) return false;
    }
    return true;
  };
  if (!fits()) {
    core::Shape expected = spec.shape;
    if (batched() && !expected.empty()) expected[0] = rows;
    refuse("input " + quoted(spec.name) + ": expected shape " + core::format_shape(expected) + ", got " +
           core::format_shape(input.shape));
  }
  const size_t bytes = core::byte_count(input.shape, core::dtype_size_bytes(spec.dtype));
  if (input.size_bytes != bytes) {
    refuse("input " + quoted(spec.name) + ": expected " + std::to_string(bytes) + " bytes, got " +
           std::to_string(input.size_bytes));
  }
}

void Layout::gather(size_t input, std::span<const core::Request> requests, size_t gear, std::byte* to) const {
  const core::Shape& room = signature_.gears[gear].input_shapes[input];
  const std::span<const std::byte> padding = padding_[input];
  const size_t bytes = core::byte_count(room, padding.size());
  const size_t row_bytes = batched() ? bytes / static_cast<size_t>(room[0]) : bytes;
  std::byte* const end = to + bytes;
  for (const core::Request& request : requests) {
    const core::TensorView& given = request.inputs[input];
    const core::Shape block = batched() ? with_rows(room, request.rows) : room;
    core::copy_block(to, block, given.data, sent_shape(input, request), given.shape, padding);
    to += static_cast<size_t>(request.rows) * row_bytes;
  }
  core::fill({to, end}, padding);
}

bool Layout::fills(size_t input, const core::Request& request, size_t gear) const {
  return request.sent_length == 0 && request.inputs[input].shape == signature_.gears[gear].input_shapes[input];
}

core::Status Layout::deliver(const core::Request& request, int64_t first_row, size_t gear,
                             const SlotBuffers& buffers) const {
  const size_t count = signature_.outputs.size();
  const int64_t length = length_of(request);
  const int64_t sent_length = request.sent_length > 0 ? request.sent_length : length;
  std::vector<core::Shape> shapes(count);
  std::vector<core::Shape> filled_shapes(sent_length > length ? count : 0);
  std::vector<core::Shape> padded_shapes(count);
  std::vector<core::OutputView> views;
  views.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const core::Shape& room = signature_.gears[gear].output_shapes[i];
    const size_t element_bytes = core::dtype_size_bytes(signature_.outputs[i].dtype);
    padded_shapes[i] = batched() ? with_rows(room, request.rows) : room;
    shapes[i] = padded_shapes[i];
    for (const int64_t axis : variable_output_axes_[i]) shapes[i][static_cast<size_t>(axis)] = sent_length;
    const auto rows_before = static_cast<size_t>(batched() ? first_row : 0);
    const auto elements = static_cast<size_t>(core::element_count(padded_shapes[i]));
    const size_t row_bytes = elements / static_cast<size_t>(request.rows) * element_bytes;
    const std::byte* const first = buffers.outputs[i].data() + rows_before * row_bytes;
    if (filled_shapes.empty()) {
      views.emplace_back(first, element_bytes, shapes[i], padded_shapes[i]);
      continue;
    }
    filled_shapes[i] = padded_shapes[i];
    for (const int64_t axis : variable_output_axes_[i]) filled_shapes[i][static_cast<size_t>(axis)] = length;
    views.emplace_back(first, element_bytes, shapes[i], padded_shapes[i], filled_shapes[i]);
  }
  return request.completion->receive(views);
}

int64_t Layout::length_of(size_t gear) const {
  if (variable_axes_.empty()) return 1;
  const Axis& axis = variable_axes_.front();
  return signature_.gears[gear].input_shapes[axis.input][axis.axis];
}

int64_t Layout::length_of(const core::Request& request) const {
  return variable_axes_.empty() ? 1 : size_of(variable_axes_.front(), request.inputs);
}

size_t Layout::longest() const {
  int64_t longest = 0;
  for (size_t gear = 0; gear < signature_.gears.size() && !variable_axes_.empty(); ++gear) {
    longest = std::max(longest, length_of(gear));
  }
  return static_cast<size_t>(longest);
}

std::string Layout::label_of(size_t gear) const {
  std::string label = std::to_string(rows_of(gear));
  const auto is_told = [&](const Axis& axis) {
    return std::ranges::any_of(tied_axes_, [&](const std::pair<Axis, Axis>& tied) {
      return tied.second.input == axis.input && tied.second.axis == axis.axis;
    });
  };
  for (const Axis& axis : variable_axes_) {
    if (!is_told(axis))
      label.append("x").append(std::to_string(signature_.gears[gear].input_shapes[axis.input][axis.axis]));
  }
  return label;
}

core::Status Layout::return_inputs(const core::Request& request) const {
  std::vector<core::OutputView> views;
  views.reserve(request.inputs.size());
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    const core::TensorView& input = request.inputs[i];
    views.emplace_back(input.data, core::dtype_size_bytes(signature_.outputs[i].dtype), input.shape, input.shape);
  }
  return request.completion->receive(views);
}

}  // namespace npuserve::engine
