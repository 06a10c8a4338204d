// Choosing a gear for the next execution of a dataset.
#include <algorithm>
#include <cstring>

#include "emulator/arena.h"
#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/lifetime.h"
#include "emulator/mdl_model.h"

namespace {

using namespace emulator;  // the definitions below are the C names of the same room

struct Target {
  std::shared_ptr<LoadedModel> model;
  std::shared_ptr<Dataset> dataset;
  std::shared_ptr<DataBuffer> buffer;  // of the gear tensor
};

Target require_target(uint32_t model_id, const aclmdlDataset* dataset, size_t index) {
  require_initialized(ACL_ERROR_GE_EXEC_NOT_INIT);
  require_context();
  Target target;
  target.model = require_model(model_id);
  target.model->require_loading_context();
  target.dataset = require_dataset(dataset, "input");
  const Signature& signature = target.model->signature();
  require(signature.has_gears(), ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, "the model was compiled without gears");
  if (index != signature.gear_input()) {
    refuse(ACL_ERROR_INVALID_PARAM, "index " + std::to_string(index) + " is not that of the input " +
                                        ACL_DYNAMIC_TENSOR_NAME + ", which is " +
                                        std::to_string(signature.gear_input()));
  }
  target.buffer = require_buffer(*target.dataset, index, "input");
  require(target.buffer->data != nullptr, ACL_ERROR_INVALID_PARAM, "the gear tensor's address is NULL");
  return target;
}

size_t require_gear(const Metadata& model, const std::vector<int64_t>& values) {
  const auto found =
      std::find_if(model.gears.begin(), model.gears.end(), [&](const Gear& gear) { return gear.values == values; });
  if (found == model.gears.end()) {
    std::string text;
    for (const int64_t value : values) text.append(text.empty() ? "" : ",").append(std::to_string(value));
    refuse(ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, "[" + text + "] is not a gear that the model was compiled with");
  }
  return static_cast<size_t>(found - model.gears.begin());
}

// The library writes 64-bit elements when the declared length has room for them: with two or more values that scrambles
// the INT32 tensor, which is refused here; a single value reads the same in both widths.
void write_gear(const DataBuffer& buffer, const std::vector<int64_t>& values) {
  const size_t needed = sizeof(int32_t) * values.size();
  if (buffer.size < needed) {
    refuse(ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID, "the gear tensor's buffer has " + std::to_string(buffer.size) +
                                                          " bytes, " + std::to_string(needed) + " are needed");
  }
  if (values.size() > 1 && buffer.size >= sizeof(int64_t) * values.size()) {
    refuse(ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
           "the gear tensor's buffer declares " + std::to_string(buffer.size) +
               " bytes, room for 64-bit elements, which the library would then write: declare exactly " +
               std::to_string(needed));
  }
  std::byte* target = view(buffer.data, buffer.size);
  require(target != nullptr, ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID,
          "the gear tensor's buffer is not within one live allocation of device memory");
  for (size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<int32_t>(values[i]);
    std::memcpy(target + i * sizeof(value), &value, sizeof(value));
  }
}

void set_gear(const Target& target, std::vector<int64_t> values) {
  const size_t gear = require_gear(target.model->signature().metadata, values);
  write_gear(*target.buffer, values);
  target.model->set_shape_gear(gear);
  target.dataset->gear = std::move(values);
}

// The values at the -1 axes of `dims`, the shapes of all inputs one behind the other.
std::vector<int64_t> dynamic_values(const Metadata& model, const aclmdlIODims& dims) {
  std::vector<int64_t> declared;
  for (const Port& input : model.inputs) declared.insert(declared.end(), input.dims.begin(), input.dims.end());
  if (dims.dimCount != declared.size() || declared.size() > ACL_MAX_DIM_CNT) {
    refuse(ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID, "the dims have " + std::to_string(dims.dimCount) +
                                                          " axes, the inputs together have " +
                                                          std::to_string(declared.size()));
  }
  std::vector<int64_t> values;
  for (size_t i = 0; i < declared.size(); ++i) {
    if (declared[i] == -1) {
      values.push_back(dims.dims[i]);
    } else if (declared[i] != dims.dims[i]) {
      refuse(ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
             "axis " + std::to_string(i) + " of the dims is " + std::to_string(dims.dims[i]) +
                 ", the model was compiled with " + std::to_string(declared[i]));
    }
  }
  return values;
}

}  // namespace

aclError aclmdlSetDynamicBatchSize(uint32_t model_id, aclmdlDataset* dataset, size_t index, uint64_t batch_size) {
  return exported(__func__, [&] {
    require(batch_size != 0, ACL_ERROR_INVALID_PARAM, "the batch size is 0");
    const Target target = require_target(model_id, dataset, index);
    require(target.model->signature().metadata.gear_kind == GearKind::batch, ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
            "the model was compiled without --dynamic_batch_size");
    set_gear(target, {static_cast<int64_t>(batch_size)});
  });
}

aclError aclmdlSetInputDynamicDims(uint32_t model_id, aclmdlDataset* dataset, size_t index, const aclmdlIODims* dims) {
  return exported(__func__, [&] {
    require(dims != nullptr && dims->dimCount > 0, ACL_ERROR_INVALID_PARAM, "the dims are NULL or empty");
    const Target target = require_target(model_id, dataset, index);
    const Metadata& metadata = target.model->signature().metadata;
    require(metadata.gear_kind == GearKind::dims, ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
            "the model was compiled without --dynamic_dims");
    set_gear(target, dynamic_values(metadata, *dims));
  });
}

aclError aclmdlSetDynamicHWSize(uint32_t model_id, aclmdlDataset* dataset, size_t index, uint64_t height,
                                uint64_t width) {
  return exported(__func__, [&] {
    require(height != 0 && width != 0, ACL_ERROR_INVALID_PARAM, "the height or the width is 0");
    require_target(model_id, dataset, index);
    refuse(ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, "the model was compiled without --dynamic_image_size");
  });
}
