#include "emulator/tensor_desc.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/handles.h"

namespace emulator {
namespace {

struct TensorDesc {
  aclDataType type;
  aclFormat format;
  std::vector<std::int64_t> dims;
  std::string name;
};

// Leaked on purpose: owners may destroy their handles while the program exits.
HandleTable<TensorDesc>& descs() {
  static HandleTable<TensorDesc>& all = *new HandleTable<TensorDesc>();
  return all;
}

std::shared_ptr<TensorDesc> require_desc(const aclTensorDesc* handle) {
  require(handle != nullptr, ACL_ERROR_INVALID_PARAM, "the tensor description is NULL");
  std::shared_ptr<TensorDesc> desc = descs().find(handle);
  require(desc != nullptr, ACL_ERROR_INVALID_PARAM, "the tensor description was destroyed, or is of another kind");
  return desc;
}

// 0 if any axis is unknown.
std::size_t element_count(const TensorDesc& desc) {
  std::size_t count = 1;
  for (const std::int64_t dim : desc.dims) count *= dim < 0 ? 0 : static_cast<std::size_t>(dim);
  return count;
}

std::int64_t dim(const TensorDesc& desc, std::size_t index) {
  require(index < desc.dims.size(), ACL_ERROR_INVALID_PARAM, "the index is not below the number of dimensions");
  return desc.dims[index];
}

}  // namespace

std::size_t element_bytes(aclDataType type) {
  switch (type) {
    case ACL_INT8:
    case ACL_UINT8:
    case ACL_BOOL:
      return 1;
    case ACL_FLOAT16:
    case ACL_BF16:
    case ACL_INT16:
    case ACL_UINT16:
      return 2;
    case ACL_FLOAT:
    case ACL_INT32:
    case ACL_UINT32:
      return 4;
    case ACL_INT64:
    case ACL_UINT64:
    case ACL_DOUBLE:
    case ACL_COMPLEX64:
      return 8;
    case ACL_COMPLEX128:
      return 16;
    case ACL_DT_UNDEFINED:
    case ACL_STRING:
    case ACL_INT4:
    case ACL_UINT1:
      break;
  }
  return 0;
}

aclTensorDesc* copy_tensor_desc(const aclTensorDesc* handle) {
  return static_cast<aclTensorDesc*>(descs().create(std::make_shared<TensorDesc>(*require_desc(handle))));
}

void destroy_tensor_desc(const aclTensorDesc* handle) { descs().destroy(handle); }

void forget_tensor_descs() {
  descs().take_if([](const TensorDesc&) { return true; });
}

}  // namespace emulator

using namespace emulator;

aclTensorDesc* aclCreateTensorDesc(aclDataType data_type, int num_dims, const int64_t* dims, aclFormat format) {
  return exported_value<aclTensorDesc*>(__func__, nullptr, [&] {
    require(num_dims >= 0, ACL_ERROR_INVALID_PARAM, "numDims is negative");
    require(num_dims == 0 || dims != nullptr, ACL_ERROR_INVALID_PARAM, "dims is NULL");
    auto desc = std::make_shared<TensorDesc>(TensorDesc{data_type, format, {dims, dims + num_dims}, {}});
    return static_cast<aclTensorDesc*>(descs().create(std::move(desc)));
  });
}

void aclDestroyTensorDesc(const aclTensorDesc* desc) {
  exported(__func__, [&] {
    if (desc == nullptr) return;
    require_desc(desc);
    destroy_tensor_desc(desc);
  });
}

aclDataType aclGetTensorDescType(const aclTensorDesc* desc) {
  return exported_value(__func__, ACL_DT_UNDEFINED, [&] { return require_desc(desc)->type; });
}

aclFormat aclGetTensorDescFormat(const aclTensorDesc* desc) {
  return exported_value(__func__, ACL_FORMAT_UNDEFINED, [&] { return require_desc(desc)->format; });
}

size_t aclGetTensorDescSize(const aclTensorDesc* desc) {
  return exported_value<size_t>(__func__, 0, [&] {
    const std::shared_ptr<TensorDesc> asked = require_desc(desc);
    return element_count(*asked) * element_bytes(asked->type);
  });
}

size_t aclGetTensorDescElementCount(const aclTensorDesc* desc) {
  return exported_value<size_t>(__func__, 0, [&] { return element_count(*require_desc(desc)); });
}

size_t aclGetTensorDescNumDims(const aclTensorDesc* desc) {
  return exported_value<size_t>(__func__, 0, [&] { return require_desc(desc)->dims.size(); });
}

int64_t aclGetTensorDescDim(const aclTensorDesc* desc, size_t index) {
  return exported_value<int64_t>(__func__, -1, [&] { return dim(*require_desc(desc), index); });
}

aclError aclGetTensorDescDimV2(const aclTensorDesc* desc, size_t index, int64_t* dim_size) {
  return exported(__func__, [&] {
    require(dim_size != nullptr, ACL_ERROR_INVALID_PARAM, "dimSize is NULL");
    *dim_size = dim(*require_desc(desc), index);
  });
}

void aclSetTensorDescName(aclTensorDesc* desc, const char* name) {
  exported(__func__, [&] { require_desc(desc)->name = name == nullptr ? "" : name; });
}

const char* aclGetTensorDescName(aclTensorDesc* desc) {
  return exported_value(__func__, "", [&] { return require_desc(desc)->name.c_str(); });
}

size_t aclDataTypeSize(aclDataType data_type) { return element_bytes(data_type); }
