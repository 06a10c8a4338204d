#include "engine/identity_executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <utility>

#include "core/clock.h"

namespace npuserve::engine {
namespace {

std::vector<int64_t> batch_sizes(int64_t max_batch_size) {
  std::vector<int64_t> sizes;
  for (int64_t left = max_batch_size - 1, size = 1; left > 0; left /= 2, size *= 2) sizes.push_back(size);
  sizes.push_back(max_batch_size);
  return sizes;
}

void check(const IdentityTensor& tensor) {
  const std::string subject = "input '" + tensor.input + "'";
  if (core::dtype_size_bytes(tensor.dtype) == 0) {
    throw std::invalid_argument(subject + ": elements of " + std::string(core::dtype_name(tensor.dtype)) +
                                " have no fixed size");
  }
  if (std::ranges::any_of(tensor.dims, [](int64_t dim) { return dim < 0; })) {
    throw std::invalid_argument(subject + ": dimensions must be fixed, got " + core::format_shape(tensor.dims));
  }
}

core::Shape with_batch(int64_t rows, const core::Shape& dims) {
  core::Shape shape{rows};
  shape.insert(shape.end(), dims.begin(), dims.end());
  return shape;
}

void sleep_until(int64_t instant_ns) {
  std::this_thread::sleep_until(std::chrono::steady_clock::time_point{std::chrono::nanoseconds(instant_ns)});
}

}  // namespace

core::Signature identity_signature(const std::vector<IdentityTensor>& tensors, int64_t max_batch_size) {
  if (max_batch_size < 0) throw std::invalid_argument("max_batch_size must be 0 or more");
  const bool batched = max_batch_size > 0;
  core::Signature signature;
  signature.gears.resize(batched ? batch_sizes(max_batch_size).size() : 1);
  for (const IdentityTensor& tensor : tensors) {
    check(tensor);
    const core::Shape shape = batched ? with_batch(-1, tensor.dims) : tensor.dims;
    signature.inputs.push_back({tensor.input, tensor.dtype, shape});
    signature.outputs.push_back({tensor.output, tensor.dtype, shape});
    for (size_t gear = 0; gear < signature.gears.size(); ++gear) {
      const core::Shape full = batched ? with_batch(batch_sizes(max_batch_size)[gear], tensor.dims) : tensor.dims;
      signature.gears[gear].input_shapes.push_back(full);
      signature.gears[gear].output_shapes.push_back(full);
    }
  }
  return signature;
}

IdentityExecutor::IdentityExecutor(core::Signature signature, size_t slots, int64_t execute_delay_ns)
    : signature_(std::move(signature)), execute_delay_ns_(execute_delay_ns) {
  slots_.reserve(slots);
  for (size_t i = 0; i < slots; ++i) slots_.push_back(is_transparent() ? Slot{} : make_slot());
}

// The largest gear is the last. Its vectors keep their memory when the slot moves, so the spans stay right.
IdentityExecutor::Slot IdentityExecutor::make_slot() const {
  Slot slot;
  for (size_t i = 0; i < signature_.inputs.size(); ++i) {
    const size_t bytes = bytes_of(i, signature_.gears.size() - 1);
    slot.host.inputs.emplace_back(slot.inputs.emplace_back(bytes));
    slot.host.outputs.emplace_back(slot.outputs.emplace_back(bytes));
  }
  return slot;
}

std::vector<int64_t> IdentityExecutor::costs_ns() const {
  if (execute_delay_ns_ == 0) return {};
  return std::vector<int64_t>(signature_.gears.size(), execute_delay_ns_);
}

size_t IdentityExecutor::bytes_of(size_t tensor, size_t gear) const {
  return core::byte_count(signature_.gears[gear].input_shapes[tensor],
                          core::dtype_size_bytes(signature_.inputs[tensor].dtype));
}

core::Status IdentityExecutor::launch(size_t slot, size_t gear) noexcept {
  Slot& launched = slots_[slot];
  launched.gear = gear;
  launched.ends_ns = std::max(core::steady_now_ns(), free_ns_.load()) + execute_delay_ns_;
  free_ns_ = launched.ends_ns;
  return {};
}

core::Status IdentityExecutor::wait(size_t slot) noexcept {
  if (is_transparent()) return {};
  sleep_until(slots_[slot].ends_ns);
  copy(slots_[slot]);
  return {};
}

void IdentityExecutor::copy(Slot& slot) const {
  for (size_t i = 0; i < slot.inputs.size(); ++i) {
    std::memcpy(slot.outputs[i].data(), slot.inputs[i].data(), bytes_of(i, slot.gear));
  }
}

core::Status IdentityExecutor::settle() noexcept {
  sleep_until(free_ns_);
  return {};
}

}  // namespace npuserve::engine
