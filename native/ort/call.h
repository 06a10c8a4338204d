// The one door to ONNX Runtime: every call that returns a status goes through check(). Private to the room.
#pragma once

#include "ort/errors.h"
#include "ort/functions.h"

namespace npuserve::ort {

// Throws Error if there is a status, which is released.
inline void check(const FunctionTable& table, OrtStatus* status) {
  if (status == nullptr) [[likely]] {
    return;
  }
  const Error error(table.get_error_code(status), table.get_error_message(status));
  table.release_status(status);
  throw error;
}

}  // namespace npuserve::ort
