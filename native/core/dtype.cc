#include "core/dtype.h"

#include <array>

namespace npuserve::core {
namespace {

struct Row {
  Dtype dtype;
  std::string_view name;
  size_t size_bytes;
};

// In the enum's order: the enumerator is the index.
constexpr std::array<Row, 14> kRows{{
    {Dtype::kBool, "BOOL", 1},
    {Dtype::kUint8, "UINT8", 1},
    {Dtype::kUint16, "UINT16", 2},
    {Dtype::kUint32, "UINT32", 4},
    {Dtype::kUint64, "UINT64", 8},
    {Dtype::kInt8, "INT8", 1},
    {Dtype::kInt16, "INT16", 2},
    {Dtype::kInt32, "INT32", 4},
    {Dtype::kInt64, "INT64", 8},
    {Dtype::kFp16, "FP16", 2},
    {Dtype::kFp32, "FP32", 4},
    {Dtype::kFp64, "FP64", 8},
    {Dtype::kBf16, "BF16", 2},
    {Dtype::kBytes, "BYTES", 0},
}};

const Row& row_of(Dtype dtype) { return kRows[static_cast<size_t>(dtype)]; }

}  // namespace

std::string_view dtype_name(Dtype dtype) { return row_of(dtype).name; }

size_t dtype_size_bytes(Dtype dtype) { return row_of(dtype).size_bytes; }

std::optional<Dtype> dtype_from_name(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace npuserve::core
