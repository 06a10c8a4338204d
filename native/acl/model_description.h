// What a loaded OM says of its tensors and gears.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace npuserve::acl {

class Runtime;

struct TensorDescription {
  std::string name;  // inputs: the ONNX name; outputs: "node:index:tensor"
  core::Dtype dtype;
  // Inputs: -1 for an axis that the gears vary. Outputs: of the largest gear.
  std::vector<std::int64_t> dims;
  std::size_t size_bytes = 0;  // of the largest gear
};

struct ModelDescription {
  std::vector<TensorDescription> inputs;  // all that a dataset must hold, the gear input among them
  std::vector<TensorDescription> outputs;
  // The input that the compiler appends to a model with gears.
  std::optional<std::size_t> gear_input;
  // At most one of the two is filled. A gear of dynamic_dims_gears is the full shapes of all inputs but the gear input,
  // concatenated.
  std::vector<std::uint64_t> dynamic_batch_gears;
  std::vector<std::vector<std::int64_t>> dynamic_dims_gears;
};

// Reads the description of a loaded model. Throws Error, also for a data type that the protocol has no name for.
[[nodiscard]] ModelDescription describe(Runtime& runtime, std::uint32_t model_id);

// Reads the description of an OM that is not loaded; none if the library cannot. Throws Error.
[[nodiscard]] std::optional<ModelDescription> describe_file(Runtime& runtime, const std::string& path);

// The full shapes of all outputs at the gear last set on the model; at the largest if none was. Throws Error.
[[nodiscard]] std::vector<std::vector<std::int64_t>> current_output_dims(Runtime& runtime, std::uint32_t model_id);

}  // namespace npuserve::acl
