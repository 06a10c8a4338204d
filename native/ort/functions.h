// The function table: one typed entry for each function of ONNX Runtime that this room calls. Private to the room.
#pragma once

#include "ort/abi.h"

namespace npuserve::ort {

struct FunctionTable {
  // api: what `get_api` returned.
  explicit FunctionTable(const void* api);

#define ORT_CALL(place, vendor, name, params) OrtStatus*(*name)params noexcept = nullptr;
#define ORT_PLAIN(place, vendor, name, ret, params) ret(*name) params noexcept = nullptr;
#include "ort/functions.def"
#undef ORT_CALL
#undef ORT_PLAIN
};

}  // namespace npuserve::ort
