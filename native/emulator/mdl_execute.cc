// Execution, with the rules of what it is given.
#include <algorithm>
#include <cstring>
#include <openvino/core/except.hpp>

#include "emulator/arena.h"
#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/lifetime.h"
#include "emulator/mdl_model.h"

namespace {

using namespace emulator;  // the definitions below are the C names of the same room

constexpr uintptr_t kAlignment = 64;

struct Span {
  uintptr_t begin;
  uintptr_t end;
  std::string name;
};

// One execution with all that it needs until it has run.
struct Submission {
  std::shared_ptr<LoadedModel> model;
  std::unique_ptr<LoadedModel::Flight> flight;
  size_t gear = 0;
  std::vector<Pin> inputs;
  std::vector<Pin> outputs;
};

void check_count(const char* role, size_t given, size_t needed) {
  if (given == needed) return;
  refuse(ACL_ERROR_GE_FAILURE, std::string("E13025: the number of ") + role +
                                   " buffers is inconsistent: the dataset has " + std::to_string(given) +
                                   ", the model needs " + std::to_string(needed));
}

// Whether the buffer, and what the device may touch behind it, lies within one live allocation. By subtraction: a size
// that a program got wrong may be close to 2^64.
bool fits_in_block(const DataBuffer& buffer) {
  const std::optional<Block> block = find_block(buffer.data);
  if (!block) return false;
  const auto offset = static_cast<size_t>(static_cast<const std::byte*>(buffer.data) - block->base);
  if (offset > block->bytes || buffer.size > block->bytes - offset) return false;
  return (buffer.size + 31) / 32 * 32 + 32 <= block->usable_bytes - offset;
}

// Device memory only, 64-byte aligned, with room for the 32 bytes that the device may touch behind a tensor.
Pin pin_tensor(const std::string& name, const DataBuffer& buffer, size_t needed) {
  if (buffer.data == nullptr) refuse(ACL_ERROR_INVALID_PARAM, name + ": the address is NULL");
  if (locate(buffer.data) != Where::device) {
    refuse(ACL_ERROR_INVALID_PARAM, name + ": a dataset's buffers must be device memory, this is a host pointer");
  }
  if (buffer.size < needed) {
    refuse(ACL_ERROR_GE_FAILURE, "E13025: " + name + " has a buffer of " + std::to_string(buffer.size) +
                                     " bytes, the model needs " + std::to_string(needed));
  }
  if (!fits_in_block(buffer)) {
    refuse(ACL_ERROR_INVALID_PARAM,
           name + ": " + std::to_string(buffer.size) +
               " bytes (and the padding up to the next multiple of 32, plus 32) are not within one live allocation");
  }
  if (reinterpret_cast<uintptr_t>(buffer.data) % kAlignment != 0) {
    refuse(ACL_ERROR_RT_ADDR_UNALIGNED, name + ": a tensor's address must be a multiple of 64");
  }
  Pin held = pin(buffer.data, buffer.size);
  if (!held) refuse(ACL_ERROR_INVALID_PARAM, name + ": its memory has just been freed");
  return held;
}

void check_overlap(const std::vector<Span>& outputs, const std::vector<Span>& all) {
  for (const Span& output : outputs) {
    for (const Span& other : all) {
      if (other.name != output.name && output.begin < other.end && other.begin < output.end) {
        refuse(ACL_ERROR_INVALID_PARAM, output.name + " overlaps " + other.name + ", which the model does not allow");
      }
    }
  }
}

// The gear that the dataset was given; without gears the only shape.
size_t gear_of(const Signature& signature, const Dataset& dataset) {
  const std::vector<Gear>& gears = signature.metadata.gears;
  if (!signature.has_gears()) return 0;
  const auto found =
      std::find_if(gears.begin(), gears.end(), [&](const Gear& gear) { return gear.values == dataset.gear; });
  require(
      found != gears.end(), ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
      "no gear of this model was ever set on the input dataset (aclmdlSetDynamicBatchSize, aclmdlSetInputDynamicDims)");
  return static_cast<size_t>(found - gears.begin());
}

// A blocking execution may leave outputs to the library: it allocates, the caller frees.
void allocate_missing_output(DataBuffer& buffer, size_t bytes) {
  if (buffer.data != nullptr) return;
  buffer.data = allocate(require_context().device(), bytes);
  buffer.size = bytes;
}

Submission check(uint32_t model_id, const aclmdlDataset* input, const aclmdlDataset* output, LoadedModel::Use use) {
  Submission submission;
  submission.model = require_model(model_id);
  submission.model->require_loading_context();
  const Signature& signature = submission.model->signature();
  const std::shared_ptr<Dataset> inputs = require_dataset(input, "input");
  const std::shared_ptr<Dataset> outputs = require_dataset(output, "output");
  check_count("input", inputs->buffers.size(), signature.inputs.size());
  check_count("output", outputs->buffers.size(), signature.outputs.size());
  submission.gear = gear_of(signature, *inputs);
  const Gear& gear = signature.metadata.gears[submission.gear];

  std::vector<Span> spans;
  const auto add = [&](std::vector<Pin>& pins, const char* role, size_t index, const Port& port, DataBuffer& buffer,
                       size_t needed) {
    const std::string name = std::string(role) + " tensor " + std::to_string(index) + " (" + port.name + ")";
    pins.push_back(pin_tensor(name, buffer, needed));
    const auto begin = reinterpret_cast<uintptr_t>(buffer.data);
    spans.push_back({begin, begin + buffer.size, name});
  };
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    const Signature::Tensor& tensor = signature.inputs[i];
    const bool is_gear = signature.has_gears() && i == signature.gear_input();
    const size_t needed = is_gear ? tensor.bytes : byte_size(tensor.port.element, gear.input_shapes[i]);
    add(submission.inputs, "input", i, tensor.port, *require_buffer(*inputs, i, "input"), needed);
  }
  for (size_t i = 0; i < signature.outputs.size(); ++i) {
    const Signature::Tensor& tensor = signature.outputs[i];
    const std::shared_ptr<DataBuffer> buffer = require_buffer(*outputs, i, "output");
    if (use == LoadedModel::Use::blocking) allocate_missing_output(*buffer, tensor.bytes);
    add(submission.outputs, "output", i, tensor.port, *buffer, byte_size(tensor.port.element, gear.output_shapes[i]));
  }
  check_overlap({spans.end() - static_cast<ptrdiff_t>(signature.outputs.size()), spans.end()}, spans);
  return submission;
}

// The device reads the gear from the tensor: a value that changed since the submission would run another shape.
bool gear_tensor_changed(const Submission& submission) {
  const Signature& signature = submission.model->signature();
  if (!signature.has_gears()) return false;
  const std::vector<int64_t>& values = signature.metadata.gears[submission.gear].values;
  for (size_t i = 0; i < values.size(); ++i) {
    int32_t value = 0;
    std::memcpy(&value, submission.inputs.back().view + i * sizeof(value), sizeof(value));
    if (value != values[i]) return true;
  }
  return false;
}

aclError run(const Submission& submission) {
  if (gear_tensor_changed(submission)) {
    return fail(ACL_ERROR_GE_FAILURE,
                "the gear tensor was overwritten before the execution ran: give each execution in flight a gear buffer "
                "of its own");
  }
  std::vector<const std::byte*> inputs(submission.model->signature().metadata.inputs.size());
  std::vector<std::byte*> outputs(submission.outputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) inputs[i] = submission.inputs[i].view;
  for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = submission.outputs[i].view;
  try {
    submission.model->execution().run(submission.gear, inputs, outputs);
  } catch (const ov::Exception& error) {
    return fail(ACL_ERROR_RT_MODEL_EXECUTE, std::string("the model failed: ") + error.what());
  }
  return ACL_SUCCESS;
}

}  // namespace

aclError aclmdlExecute(uint32_t model_id, const aclmdlDataset* input, aclmdlDataset* output) {
  return exported(__func__, [&] {
    require_initialized(ACL_ERROR_GE_EXEC_NOT_INIT);
    require_context();
    Submission submission = check(model_id, input, output, LoadedModel::Use::blocking);
    // Each blocking execution has a stream of its own: two threads at once are refused.
    submission.flight =
        std::make_unique<LoadedModel::Flight>(submission.model, LoadedModel::Use::blocking, &submission);
    return run(submission);
  });
}

aclError aclmdlExecuteAsync(uint32_t model_id, const aclmdlDataset* input, aclmdlDataset* output, aclrtStream stream) {
  return exported(__func__, [&] {
    require_initialized(ACL_ERROR_GE_EXEC_NOT_INIT);
    Context& current = require_context();
    const auto submission = std::make_shared<Submission>(check(model_id, input, output, LoadedModel::Use::queued));
    const std::shared_ptr<Stream> queue = require_stream(stream, current);
    submission->flight =
        std::make_unique<LoadedModel::Flight>(submission->model, LoadedModel::Use::queued, queue.get());
    queue->enqueue([submission] {
      const aclError result = run(*submission);
      // Ended before anybody is told: who synchronized may unload, free and submit elsewhere at once.
      submission->flight.reset();
      submission->inputs.clear();
      submission->outputs.clear();
      return result;
    });
  });
}
