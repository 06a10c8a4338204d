// What the tests of gears and buckets compile.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/signature.h"

namespace npuserve::batching::test {

// A model of two inputs of one shape, as a BERT's, with these (batch, length) gears.
inline core::Signature tokens(const std::vector<std::pair<int64_t, int64_t>>& gears) {
  core::Signature signature;
  signature.inputs = {{"input_ids", core::Dtype::kInt64, {-1, -1}}, {"attention_mask", core::Dtype::kInt64, {-1, -1}}};
  for (const auto& [rows, length] : gears) signature.gears.push_back({{{rows, length}, {rows, length}}, {}});
  return signature;
}

}  // namespace npuserve::batching::test
