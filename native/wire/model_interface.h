// What requests may name of a model, as its config declares it: the C++ side of npuserve.service.interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"

namespace npuserve::wire {

// An input or output. The dims have no batch dimension if the model batches; -1 is variable. Requests and responses use
// `dims`; `model_dims` is what the compiled model sees (the config's reshape), or the same.
struct DeclaredTensor {
  std::string name;
  core::Dtype dtype = core::Dtype::kFp32;
  core::Shape dims;
  core::Shape model_dims;
  // What the compiled model takes or gives, if it is the other integer type.
  std::optional<core::Dtype> model_dtype{};

  core::Dtype sink_dtype() const { return model_dtype.value_or(dtype); }
};

struct ModelInterface {
  std::string name;
  std::string version;                  // as responses state it
  int64_t max_batch_size = 0;           // 0: no batch dimension
  std::vector<DeclaredTensor> inputs;   // in the config's order, in which refusals list them
  std::vector<size_t> input_positions;  // where each of them stands in the signature, in whose order a sink takes them
  // In the signature's order, in which a sink gives them; one that the config leaves out, and which is not served, has
  // no name here.
  std::vector<DeclaredTensor> outputs;
  bool converts_integers = false;  // requests may give INT64 for INT32 and the other way round
};

// `wanted` with its -1 filled, in order, by the sizes that `shape` has where `declared` has -1; what `shape` has before
// its declared part, the batch dimension, stays in front. REQUIRES: as many -1 in both; shape is not the shorter.
core::Shape carry_sizes(std::span<const int64_t> shape, const core::Shape& declared, const core::Shape& wanted);

}  // namespace npuserve::wire
