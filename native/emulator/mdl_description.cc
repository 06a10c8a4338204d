// Descriptions of models.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>

#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/handles.h"
#include "emulator/lifetime.h"
#include "emulator/mdl_model.h"

namespace {

using namespace emulator;  // the definitions below are the C names of the same room

// Index of "the gear input" in functions that ask for one but have a single answer.
constexpr size_t kAnyIndex = static_cast<size_t>(-1);

struct Description {
  std::optional<Signature> signature;  // none until filled
  std::optional<uint32_t> model_id;    // of a loaded model
};

using Tensors = std::vector<Signature::Tensor> Signature::*;

HandleTable<Description>& descriptions() {
  static HandleTable<Description> table;
  return table;
}

std::shared_ptr<Description> require_description(const aclmdlDesc* handle) {
  require(handle != nullptr, ACL_ERROR_INVALID_PARAM, "the model description is NULL");
  std::shared_ptr<Description> description = descriptions().find(handle);
  require(description != nullptr, ACL_ERROR_INVALID_PARAM, "the model description was destroyed");
  return description;
}

const Signature& signature_of(const Description& description) {
  if (!description.signature) refuse(ACL_ERROR_INVALID_PARAM, "the model description was never filled");
  return *description.signature;
}

const Signature::Tensor& tensor_of(const Description& description, Tensors side, size_t index) {
  const std::vector<Signature::Tensor>& tensors = signature_of(description).*side;
  if (index >= tensors.size()) {
    refuse(ACL_ERROR_INVALID_PARAM, "index " + std::to_string(index) + " is out of range: there are " +
                                        std::to_string(tensors.size()) + " tensors");
  }
  return tensors[index];
}

// The name in a dims structure, which has room for 127 characters; longer ones get a stand-in.
std::string dims_name(const Description& description, Tensors side, size_t index) {
  const std::string& name = tensor_of(description, side, index).port.name;
  if (name.size() < ACL_MAX_TENSOR_NAME_LEN) return name;
  return "acl_modelId_" + std::to_string(description.model_id.value_or(0)) +
         (side == &Signature::inputs ? "_input_" : "_output_") + std::to_string(index);
}

void write_dims(const Description& description, Tensors side, size_t index, const Shape& shape, aclmdlIODims* dims) {
  require(dims != nullptr, ACL_ERROR_INVALID_PARAM, "the pointer to the dims is NULL");
  *dims = {};
  dims_name(description, side, index).copy(dims->name, sizeof(dims->name) - 1);
  dims->dimCount = shape.size();
  std::copy(shape.begin(), shape.end(), dims->dims);
}

aclError get_dims(const char* call, const aclmdlDesc* handle, Tensors side, size_t index, aclmdlIODims* dims) {
  return exported(call, [&] {
    const std::shared_ptr<Description> description = require_description(handle);
    write_dims(*description, side, index, tensor_of(*description, side, index).port.dims, dims);
  });
}

aclError get_index(const char* call, const aclmdlDesc* handle, Tensors side, const char* name, size_t* index) {
  return exported(call, [&] {
    const std::shared_ptr<Description> description = require_description(handle);
    require(name != nullptr && index != nullptr, ACL_ERROR_INVALID_PARAM,
            "the name or the pointer to the index is NULL");
    const std::vector<Signature::Tensor>& tensors = signature_of(*description).*side;
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const Signature::Tensor& tensor) { return tensor.port.name == name; });
    if (found == tensors.end()) refuse(ACL_ERROR_INVALID_PARAM, std::string("the model has no tensor ") + name);
    *index = static_cast<size_t>(found - tensors.begin());
  });
}

size_t count(const char* call, const aclmdlDesc* handle, Tensors side) {
  return exported_value<size_t>(call, 0, [&] { return (signature_of(*require_description(handle)).*side).size(); });
}

size_t byte_count(const char* call, const aclmdlDesc* handle, Tensors side, size_t index) {
  return exported_value<size_t>(call, 0, [&] { return tensor_of(*require_description(handle), side, index).bytes; });
}

const char* name(const char* call, const aclmdlDesc* handle, Tensors side, size_t index) {
  return exported_value<const char*>(
      call, "", [&] { return tensor_of(*require_description(handle), side, index).port.name.c_str(); });
}

aclDataType data_type(const char* call, const aclmdlDesc* handle, Tensors side, size_t index) {
  return exported_value(call, ACL_DT_UNDEFINED, [&] {
    return static_cast<aclDataType>(tensor_of(*require_description(handle), side, index).port.element);
  });
}

aclFormat format(const char* call, const aclmdlDesc* handle, Tensors side, size_t index) {
  return exported_value(call, ACL_FORMAT_UNDEFINED, [&] {
    const std::shared_ptr<Description> description = require_description(handle);
    tensor_of(*description, side, index);
    const bool is_gear = side == &Signature::inputs && index == description->signature->gear_input();
    return is_gear ? ACL_FORMAT_ND : static_cast<aclFormat>(description->signature->metadata.format);
  });
}

void fill(Description& description, const OmFile& file) {
  description.signature.emplace(file.metadata);
  description.model_id.reset();
}

}  // namespace

aclmdlDesc* aclmdlCreateDesc(void) {
  return exported_value<aclmdlDesc*>(__func__, nullptr, [] {
    return static_cast<aclmdlDesc*>(descriptions().create(std::make_shared<Description>()));
  });
}

aclError aclmdlDestroyDesc(aclmdlDesc* model_desc) {
  return exported(__func__, [&] {
    require_description(model_desc);
    descriptions().destroy(model_desc);
  });
}

aclError aclmdlGetDesc(aclmdlDesc* model_desc, uint32_t model_id) {
  return exported(__func__, [&] {
    require_initialized(ACL_ERROR_GE_EXEC_NOT_INIT);
    const std::shared_ptr<Description> description = require_description(model_desc);
    description->signature.emplace(require_model(model_id)->signature());
    description->model_id = model_id;
  });
}

aclError aclmdlGetDescFromFile(aclmdlDesc* model_desc, const char* model_path) {
  return exported(__func__, [&] { fill(*require_description(model_desc), read_om(model_path)); });
}

aclError aclmdlGetDescFromMem(aclmdlDesc* model_desc, const void* model, size_t model_size) {
  return exported(__func__, [&] { fill(*require_description(model_desc), read_om(model, model_size)); });
}

size_t aclmdlGetNumInputs(aclmdlDesc* model_desc) { return count(__func__, model_desc, &Signature::inputs); }

size_t aclmdlGetNumOutputs(aclmdlDesc* model_desc) { return count(__func__, model_desc, &Signature::outputs); }

size_t aclmdlGetInputSizeByIndex(aclmdlDesc* model_desc, size_t index) {
  return byte_count(__func__, model_desc, &Signature::inputs, index);
}

size_t aclmdlGetOutputSizeByIndex(aclmdlDesc* model_desc, size_t index) {
  return byte_count(__func__, model_desc, &Signature::outputs, index);
}

aclError aclmdlGetInputDims(const aclmdlDesc* model_desc, size_t index, aclmdlIODims* dims) {
  return get_dims(__func__, model_desc, &Signature::inputs, index, dims);
}

// Differs from aclmdlGetInputDims for static AIPP alone, which no emulator OM has.
aclError aclmdlGetInputDimsV2(const aclmdlDesc* model_desc, size_t index, aclmdlIODims* dims) {
  return get_dims(__func__, model_desc, &Signature::inputs, index, dims);
}

// Ranges are for shape-range models; a model with gears or a fixed shape has none.
aclError aclmdlGetInputDimsRange(const aclmdlDesc* model_desc, size_t index, aclmdlIODimsRange* dims_range) {
  return exported(__func__, [&] {
    tensor_of(*require_description(model_desc), &Signature::inputs, index);
    require(dims_range != nullptr, ACL_ERROR_INVALID_PARAM, "the pointer to the range is NULL");
    *dims_range = {};
  });
}

aclError aclmdlGetOutputDims(const aclmdlDesc* model_desc, size_t index, aclmdlIODims* dims) {
  return get_dims(__func__, model_desc, &Signature::outputs, index, dims);
}

aclError aclmdlGetCurOutputDims(const aclmdlDesc* model_desc, size_t index, aclmdlIODims* dims) {
  return exported(__func__, [&] {
    const std::shared_ptr<Description> description = require_description(model_desc);
    tensor_of(*description, &Signature::outputs, index);
    require(description->model_id.has_value(), ACL_ERROR_INVALID_PARAM,
            "the description is not of a loaded model (aclmdlGetDesc)");
    const std::shared_ptr<LoadedModel> model = require_model(*description->model_id);
    const Gear& gear = model->signature().metadata.gears[model->shape_gear()];
    write_dims(*description, &Signature::outputs, index, gear.output_shapes[index], dims);
  });
}

const char* aclmdlGetInputNameByIndex(const aclmdlDesc* model_desc, size_t index) {
  return name(__func__, model_desc, &Signature::inputs, index);
}

const char* aclmdlGetOutputNameByIndex(const aclmdlDesc* model_desc, size_t index) {
  return name(__func__, model_desc, &Signature::outputs, index);
}

const char* aclmdlGetTensorRealName(const aclmdlDesc* model_desc, const char* tensor_name) {
  return exported_value<const char*>(__func__, nullptr, [&]() -> const char* {
    const std::shared_ptr<Description> description = require_description(model_desc);
    require(tensor_name != nullptr, ACL_ERROR_INVALID_PARAM, "the name is NULL");
    for (const Tensors side : {&Signature::inputs, &Signature::outputs}) {
      const std::vector<Signature::Tensor>& tensors = signature_of(*description).*side;
      for (size_t i = 0; i < tensors.size(); ++i) {
        const bool matches = tensors[i].port.name == tensor_name || dims_name(*description, side, i) == tensor_name;
        if (matches) return tensors[i].port.name.c_str();
      }
    }
    refuse(ACL_ERROR_INVALID_PARAM, std::string("the model has no tensor ") + tensor_name);
  });
}

aclError aclmdlGetInputIndexByName(const aclmdlDesc* model_desc, const char* tensor_name, size_t* index) {
  return get_index(__func__, model_desc, &Signature::inputs, tensor_name, index);
}

aclError aclmdlGetOutputIndexByName(const aclmdlDesc* model_desc, const char* tensor_name, size_t* index) {
  return get_index(__func__, model_desc, &Signature::outputs, tensor_name, index);
}

aclDataType aclmdlGetInputDataType(const aclmdlDesc* model_desc, size_t index) {
  return data_type(__func__, model_desc, &Signature::inputs, index);
}

aclDataType aclmdlGetOutputDataType(const aclmdlDesc* model_desc, size_t index) {
  return data_type(__func__, model_desc, &Signature::outputs, index);
}

aclFormat aclmdlGetInputFormat(const aclmdlDesc* model_desc, size_t index) {
  return format(__func__, model_desc, &Signature::inputs, index);
}

aclFormat aclmdlGetOutputFormat(const aclmdlDesc* model_desc, size_t index) {
  return format(__func__, model_desc, &Signature::outputs, index);
}

aclError aclmdlGetDynamicBatch(const aclmdlDesc* model_desc, aclmdlBatch* batch) {
  return exported(__func__, [&] {
    const std::shared_ptr<Description> description = require_description(model_desc);
    const Metadata& metadata = signature_of(*description).metadata;
    require(batch != nullptr, ACL_ERROR_INVALID_PARAM, "the pointer to the batch sizes is NULL");
    *batch = {};
    if (metadata.gear_kind != GearKind::batch) return;
    for (const Gear& gear : metadata.gears) batch->batch[batch->batchCount++] = static_cast<uint64_t>(gear.values[0]);
  });
}

aclError aclmdlGetDynamicHW(const aclmdlDesc* model_desc, size_t, aclmdlHW* hw) {
  return exported(__func__, [&] {
    signature_of(*require_description(model_desc));
    require(hw != nullptr, ACL_ERROR_INVALID_PARAM, "the pointer to the image sizes is NULL");
    *hw = {};
  });
}

aclError aclmdlGetInputDynamicGearCount(const aclmdlDesc* model_desc, size_t index, size_t* gear_count) {
  return exported(__func__, [&] {
    const std::shared_ptr<Description> description = require_description(model_desc);
    const Metadata& metadata = signature_of(*description).metadata;
    require(index == kAnyIndex, ACL_ERROR_INVALID_PARAM, "the index must be -1");
    require(gear_count != nullptr, ACL_ERROR_INVALID_PARAM, "the pointer to the count is NULL");
    *gear_count = metadata.gear_kind == GearKind::dims ? metadata.gears.size() : 0;
  });
}

aclError aclmdlGetInputDynamicDims(const aclmdlDesc* model_desc, size_t index, aclmdlIODims* dims, size_t gear_count) {
  return exported(__func__, [&] {
    const std::shared_ptr<Description> description = require_description(model_desc);
    const Metadata& metadata = signature_of(*description).metadata;
    require(index == kAnyIndex, ACL_ERROR_INVALID_PARAM, "the index must be -1");
    require(dims != nullptr, ACL_ERROR_INVALID_PARAM, "the pointer to the dims is NULL");
    require(metadata.gear_kind == GearKind::dims && gear_count >= metadata.gears.size(), ACL_ERROR_INVALID_PARAM,
            "the model has no gears of --dynamic_dims, or more than there is room for");
    for (size_t i = 0; i < metadata.gears.size(); ++i) {
      dims[i] = {};
      for (const Shape& shape : metadata.gears[i].input_shapes) {
        require(shape.size() <= ACL_MAX_DIM_CNT - dims[i].dimCount, ACL_ERROR_INVALID_PARAM,
                "the inputs have more axes together than aclmdlIODims has room for");
        std::copy(shape.begin(), shape.end(), dims[i].dims + dims[i].dimCount);
        dims[i].dimCount += shape.size();
      }
    }
  });
}
