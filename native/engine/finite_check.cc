#include "engine/finite_check.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace npuserve::engine {
namespace {

using core::Dtype;

// The exponent of NaN and infinity: all ones. No branch within, so that it is done in vectors.
template <typename Bits>
bool run_is_finite(const std::byte* from, size_t elements, Bits exponent) {
  Bits found = 0;
  for (size_t i = 0; i < elements; ++i) {
    Bits bits;
    std::memcpy(&bits, from + i * sizeof(Bits), sizeof(Bits));
    found |= static_cast<Bits>((bits & exponent) == exponent ? 1 : 0);
  }
  return found == 0;
}

bool run_is_finite(const std::byte* from, size_t elements, Dtype dtype) {
  switch (dtype) {
    case Dtype::kFp16:
      return run_is_finite<uint16_t>(from, elements, 0x7c00);
    case Dtype::kBf16:
      return run_is_finite<uint16_t>(from, elements, 0x7f80);
    case Dtype::kFp32:
      return run_is_finite<uint32_t>(from, elements, 0x7f800000);
    case Dtype::kFp64:
      return run_is_finite<uint64_t>(from, elements, 0x7ff0000000000000);
    default:
      return true;
  }
}

size_t elements_of(std::span<const int64_t> shape) {
  size_t elements = 1;
  for (const int64_t dim : shape) elements *= static_cast<size_t>(dim);
  return elements;
}

// The block of shape `block` at the origin of a dense array of shape `room`.
bool block_is_finite(const std::byte* from, std::span<const int64_t> block, std::span<const int64_t> room,
                     Dtype dtype) {
  if (block.empty() || std::ranges::equal(block.subspan(1), room.subspan(1))) {
    return run_is_finite(from, elements_of(block), dtype);
  }
  const size_t step = elements_of(room.subspan(1)) * core::dtype_size_bytes(dtype);
  for (int64_t i = 0; i < block[0]; ++i) {
    if (!block_is_finite(from + static_cast<size_t>(i) * step, block.subspan(1), room.subspan(1), dtype)) return false;
  }
  return true;
}

// REQUIRES: a row axis.
bool row_is_finite(const core::OutputView& view, size_t row, Dtype dtype) {
  const auto block = view.filled_shape().subspan(1);
  const auto room = view.padded_shape().subspan(1);
  return block_is_finite(view.data() + row * elements_of(room) * core::dtype_size_bytes(dtype), block, room, dtype);
}

}  // namespace

bool is_finite(const core::OutputView& view, Dtype dtype) {
  return block_is_finite(view.data(), view.filled_shape(), view.padded_shape(), dtype);
}

// Who sent a request behind the check.
class FiniteCheck::Guard final : public core::Completion {
 public:
  Guard(FiniteCheck& check, std::unique_ptr<core::Completion> completion)
      : check_(check), completion_(std::move(completion)) {}

  core::Status receive(std::span<const core::OutputView> outputs) noexcept override {
    core::Status status = check_.check(outputs);
    return status.ok() ? completion_->receive(outputs) : status;
  }

  void complete(core::Status status, const core::Timing& timing) noexcept override {
    completion_->complete(std::move(status), timing);
  }

 private:
  FiniteCheck& check_;
  const std::unique_ptr<core::Completion> completion_;
};

FiniteCheck::FiniteCheck(std::string model, const core::Signature& signature, bool batched)
    : model_(std::move(model)), signature_(signature), batched_(batched) {}

std::unique_ptr<core::Completion> FiniteCheck::wrap(std::unique_ptr<core::Completion> completion) {
  return std::make_unique<Guard>(*this, std::move(completion));
}

core::Status FiniteCheck::check(std::span<const core::OutputView> outputs) {
  std::vector<bool> bad_rows;
  std::string first;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const core::OutputView& view = outputs[i];
    const core::TensorSpec& spec = signature_.outputs[i];
    if (is_finite(view, spec.dtype)) continue;
    bad_rows.resize(batched_ ? static_cast<size_t>(view.shape()[0]) : 1);
    for (size_t row = 0; row < bad_rows.size(); ++row) {
      if (batched_ && row_is_finite(view, row, spec.dtype)) continue;
      bad_rows[row] = true;
      if (first.empty()) first = "'" + spec.name + "'" + (batched_ ? " in row " + std::to_string(row) : "");
    }
  }
  if (bad_rows.empty()) return {};
  nonfinite_rows_.fetch_add(static_cast<uint64_t>(std::ranges::count(bad_rows, true)), std::memory_order_relaxed);
  return {core::StatusCode::kInternal,
          "model '" + model_ + "' computed NaN or infinity: output " + first + " of the request"};
}

}  // namespace npuserve::engine
