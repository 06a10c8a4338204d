#include "acl/model_description.h"

#include <memory>

#include "acl/call.h"
#include "acl/owned.h"

namespace npuserve::acl {
namespace {

// The gear functions take this where other functions take an input's index.
constexpr std::size_t kWholeModel = static_cast<std::size_t>(-1);

// AscendCL's description object, for as long as it is read.
class VendorDescription {
 public:
  // read, subject: the function that fills it, and the model that is described, as this takes it.
  template <class Read, class Subject>
  VendorDescription(Runtime& runtime, const Read& read, Subject subject)
      : table_(runtime.functions()),
        description_(runtime, created(runtime, table_.aclmdlCreateDesc),
                     [](Runtime& owner, aclmdlDesc* handle) noexcept {
                       release(owner, owner.functions().aclmdlDestroyDesc, handle);
                     }) {
    check(table_, read, get(), subject);
  }

  [[nodiscard]] aclmdlDesc* get() const { return description_.get(); }
  [[nodiscard]] const FunctionTable& table() const { return table_; }

 private:
  const FunctionTable& table_;
  Owned<aclmdlDesc*> description_;
};

// Inputs and outputs are asked by functions of the same shape.
struct Side {
  const Function<std::size_t(aclmdlDesc*)>& count;
  const Function<const char*(const aclmdlDesc*, std::size_t)>& name;
  const Function<aclDataType(const aclmdlDesc*, std::size_t)>& data_type;
  const Function<aclError(const aclmdlDesc*, std::size_t, aclmdlIODims*)>& dims;
  const Function<std::size_t(aclmdlDesc*, std::size_t)>& size_bytes;
};

std::vector<std::int64_t> to_vector(const aclmdlIODims& dims) { return {dims.dims, dims.dims + dims.dimCount}; }

std::optional<core::Dtype> dtype_of(aclDataType type) {
  switch (type) {
    case ACL_FLOAT:
      return core::Dtype::kFp32;
    case ACL_FLOAT16:
      return core::Dtype::kFp16;
    case ACL_BF16:
      return core::Dtype::kBf16;
    case ACL_DOUBLE:
      return core::Dtype::kFp64;
    case ACL_INT8:
      return core::Dtype::kInt8;
    case ACL_INT16:
      return core::Dtype::kInt16;
    case ACL_INT32:
      return core::Dtype::kInt32;
    case ACL_INT64:
      return core::Dtype::kInt64;
    case ACL_UINT8:
      return core::Dtype::kUint8;
    case ACL_UINT16:
      return core::Dtype::kUint16;
    case ACL_UINT32:
      return core::Dtype::kUint32;
    case ACL_UINT64:
      return core::Dtype::kUint64;
    case ACL_BOOL:
      return core::Dtype::kBool;
    default:
      return std::nullopt;
  }
}

TensorDescription describe_tensor(const VendorDescription& vendor, const Side& side, std::size_t index) {
  const std::string name = side.name(vendor.get(), index);
  const aclDataType type = side.data_type(vendor.get(), index);
  const std::optional<core::Dtype> dtype = dtype_of(type);
  if (!dtype) {
    throw Error(side.data_type.name, ACL_ERROR_UNSUPPORTED_DATA_TYPE,
                "tensor '" + name + "' has AscendCL data type " + std::to_string(type));
  }
  aclmdlIODims dims{};
  check(vendor.table(), side.dims, vendor.get(), index, &dims);
  return {.name = name, .dtype = *dtype, .dims = to_vector(dims), .size_bytes = side.size_bytes(vendor.get(), index)};
}

std::vector<TensorDescription> describe_side(const VendorDescription& vendor, const Side& side) {
  std::vector<TensorDescription> tensors(side.count(vendor.get()));
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i] = describe_tensor(vendor, side, i);
  return tensors;
}

std::optional<std::size_t> find_gear_input(const std::vector<TensorDescription>& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].name == ACL_DYNAMIC_TENSOR_NAME) return i;
  }
  return std::nullopt;
}

std::vector<std::uint64_t> batch_gears(const VendorDescription& vendor) {
  aclmdlBatch gears{};
  check(vendor.table(), vendor.table().aclmdlGetDynamicBatch, vendor.get(), &gears);
  return {gears.batch, gears.batch + gears.batchCount};
}

std::vector<std::vector<std::int64_t>> dims_gears(const VendorDescription& vendor) {
  std::size_t count = 0;
  check(vendor.table(), vendor.table().aclmdlGetInputDynamicGearCount, vendor.get(), kWholeModel, &count);
  if (count == 0) return {};
  std::vector<aclmdlIODims> gears(count);
  check(vendor.table(), vendor.table().aclmdlGetInputDynamicDims, vendor.get(), kWholeModel, gears.data(), count);
  std::vector<std::vector<std::int64_t>> dims;
  dims.reserve(count);
  for (const aclmdlIODims& gear : gears) dims.push_back(to_vector(gear));
  return dims;
}

ModelDescription read(const VendorDescription& vendor) {
  const FunctionTable& table = vendor.table();
  ModelDescription description;
  description.inputs = describe_side(vendor, {.count = table.aclmdlGetNumInputs,
                                              .name = table.aclmdlGetInputNameByIndex,
                                              .data_type = table.aclmdlGetInputDataType,
                                              .dims = table.aclmdlGetInputDims,
                                              .size_bytes = table.aclmdlGetInputSizeByIndex});
  description.outputs = describe_side(vendor, {.count = table.aclmdlGetNumOutputs,
                                               .name = table.aclmdlGetOutputNameByIndex,
                                               .data_type = table.aclmdlGetOutputDataType,
                                               .dims = table.aclmdlGetOutputDims,
                                               .size_bytes = table.aclmdlGetOutputSizeByIndex});
  description.gear_input = find_gear_input(description.inputs);
  description.dynamic_batch_gears = batch_gears(vendor);
  description.dynamic_dims_gears = dims_gears(vendor);
  return description;
}

}  // namespace

ModelDescription describe(Runtime& runtime, std::uint32_t model_id) {
  return read(VendorDescription(runtime, runtime.functions().aclmdlGetDesc, model_id));
}

std::optional<ModelDescription> describe_file(Runtime& runtime, const std::string& path) {
  const auto& function = runtime.functions().aclmdlGetDescFromFile;
  if (!function) return std::nullopt;
  return read(VendorDescription(runtime, function, path.c_str()));
}

std::vector<std::vector<std::int64_t>> current_output_dims(Runtime& runtime, std::uint32_t model_id) {
  const VendorDescription vendor(runtime, runtime.functions().aclmdlGetDesc, model_id);
  const FunctionTable& table = vendor.table();
  std::vector<std::vector<std::int64_t>> outputs(table.aclmdlGetNumOutputs(vendor.get()));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    aclmdlIODims dims{};
    check(table, table.aclmdlGetCurOutputDims, vendor.get(), i, &dims);
    outputs[i] = to_vector(dims);
  }
  return outputs;
}

}  // namespace npuserve::acl
