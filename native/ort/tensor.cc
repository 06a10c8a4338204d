#include "ort/tensor.h"

#include <stdexcept>
#include <string>

#include "ort/call.h"

namespace npuserve::ort {
namespace {

int element_type(core::Dtype dtype) {
  switch (dtype) {
    case core::Dtype::kBool:
      return kBool;
    case core::Dtype::kUint8:
      return kUint8;
    case core::Dtype::kUint16:
      return kUint16;
    case core::Dtype::kUint32:
      return kUint32;
    case core::Dtype::kUint64:
      return kUint64;
    case core::Dtype::kInt8:
      return kInt8;
    case core::Dtype::kInt16:
      return kInt16;
    case core::Dtype::kInt32:
      return kInt32;
    case core::Dtype::kInt64:
      return kInt64;
    case core::Dtype::kFp16:
      return kFloat16;
    case core::Dtype::kFp32:
      return kFloat;
    case core::Dtype::kFp64:
      return kDouble;
    case core::Dtype::kBf16:
      return kBfloat16;
    case core::Dtype::kBytes:
      break;
  }
  throw std::invalid_argument("elements of " + std::string(core::dtype_name(dtype)) + " have no fixed size");
}

OrtValue* create(const Runtime& runtime, core::Dtype dtype, std::span<const int64_t> shape,
                 std::span<std::byte> memory) {
  OrtValue* value = nullptr;
  const FunctionTable& functions = runtime.functions();
  check(functions, functions.create_tensor_with_data(runtime.host_memory(), memory.data(), memory.size(), shape.data(),
                                                     shape.size(), element_type(dtype), &value));
  return value;
}

}  // namespace

Tensor::Tensor(const std::shared_ptr<const Runtime>& runtime, core::Dtype dtype, std::span<const int64_t> shape,
               std::span<std::byte> memory)
    : value_(runtime, create(*runtime, dtype, shape, memory), runtime->functions().release_value) {}

}  // namespace npuserve::ort
