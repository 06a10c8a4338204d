// Element types, with the names that Triton's protocol gives them.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace npuserve::core {

enum class Dtype {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kFp32,
  kFp64,
  kBf16,
  kBytes,
};

// The wire name (`ModelInferRequest.InferInputTensor.datatype`), as "FP32".
std::string_view dtype_name(Dtype dtype);

std::optional<Dtype> dtype_from_name(std::string_view name);

// Bytes per element; 0 for kBytes, whose elements vary.
size_t dtype_size_bytes(Dtype dtype);

}  // namespace npuserve::core
