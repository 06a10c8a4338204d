#include "wire/integer_conversion.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace npuserve::wire {
namespace {

using core::Dtype;

// Raw contents lie anywhere in a message, so elements are read without any alignment.
template <typename Number>
Number number_at(const std::byte* from, size_t index) {
  Number number{};
  std::memcpy(&number, from + index * sizeof number, sizeof number);
  return number;
}

template <typename Number>
void put_number(std::byte* to, size_t index, Number number) {
  std::memcpy(to + index * sizeof number, &number, sizeof number);
}

bool fits(int64_t value) { return value == static_cast<int32_t>(value); }

void widen(const std::byte* from, std::byte* to, size_t count) {
  for (size_t i = 0; i < count; ++i) put_number<int64_t>(to, i, number_at<int32_t>(from, i));
}

// Without a branch for each element; who refuses looks for the culprit afterwards.
bool narrow(const std::byte* from, std::byte* to, size_t count) {
  bool all_fit = true;
  for (size_t i = 0; i < count; ++i) {
    const auto value = number_at<int64_t>(from, i);
    put_number(to, i, static_cast<int32_t>(value));
    all_fit &= fits(value);
  }
  return all_fit;
}

}  // namespace

bool is_convertible(Dtype given, Dtype wanted) {
  const auto is_one = [](Dtype dtype) { return dtype == Dtype::kInt32 || dtype == Dtype::kInt64; };
  return is_one(given) && is_one(wanted);
}

std::optional<std::string> convert_integers(std::span<const std::byte> from, std::byte* to, Dtype to_dtype) {
  if (to_dtype == Dtype::kInt64) {
    widen(from.data(), to, from.size() / sizeof(int32_t));
    return std::nullopt;
  }
  const size_t count = from.size() / sizeof(int64_t);
  if (narrow(from.data(), to, count)) return std::nullopt;
  size_t index = 0;
  while (fits(number_at<int64_t>(from.data(), index))) ++index;
  return "value " + std::to_string(number_at<int64_t>(from.data(), index)) + " at index " + std::to_string(index) +
         ", which does not fit " + std::string(core::dtype_name(to_dtype));
}

DeclaredOutputs::DeclaredOutputs(const ModelInterface& model, const std::vector<bool>& wanted,
                                 std::span<const core::OutputView> outputs)
    : views_(outputs) {
  const auto is_other = [](const DeclaredTensor& tensor) { return tensor.sink_dtype() != tensor.dtype; };
  if (std::ranges::none_of(model.outputs, is_other)) return;
  converted_.reserve(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!is_other(model.outputs[i]) || (!wanted.empty() && !wanted[i])) {
      converted_.push_back(outputs[i]);
    } else if (!convert(model, model.outputs[i], outputs[i])) {
      return;
    }
  }
  views_ = converted_;
}

bool DeclaredOutputs::convert(const ModelInterface& model, const DeclaredTensor& declared,
                              const core::OutputView& output) {
  Buffer given(output.size_bytes());
  given.resize(given.capacity());
  output.copy_to(given.data());
  const size_t element_bytes = core::dtype_size_bytes(declared.dtype);
  const size_t elements = given.size() / core::dtype_size_bytes(declared.sink_dtype());
  Buffer& made = buffers_.emplace_back(elements * element_bytes);
  made.resize(made.capacity());
  if (const std::optional<std::string> reason = convert_integers(given.bytes(), made.data(), declared.dtype)) {
    status_ = {core::StatusCode::kInternal,
               "output '" + declared.name + "' of model '" + model.name + "' has " + *reason};
    return false;
  }
  converted_.emplace_back(made.data(), element_bytes, output.shape(), output.shape());
  return true;
}

}  // namespace npuserve::wire
