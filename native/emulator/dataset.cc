#include "emulator/dataset.h"

#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/handles.h"
#include "emulator/tensor_desc.h"

namespace emulator {
namespace {

struct Tables {
  HandleTable<DataBuffer> buffers;
  HandleTable<Dataset> datasets;
};

// Leaked on purpose: owners may destroy their handles while the program exits.
Tables& tables() {
  static Tables& all = *new Tables();
  return all;
}

std::shared_ptr<DataBuffer> require_buffer(const aclDataBuffer* handle) {
  require(handle != nullptr, ACL_ERROR_INVALID_PARAM, "the data buffer is NULL");
  std::shared_ptr<DataBuffer> buffer = find_buffer(handle);
  require(buffer != nullptr, ACL_ERROR_INVALID_PARAM, "the data buffer was destroyed, or is of another kind");
  return buffer;
}

std::shared_ptr<Dataset> require_dataset(const aclmdlDataset* handle) {
  require(handle != nullptr, ACL_ERROR_INVALID_PARAM, "the dataset is NULL");
  std::shared_ptr<Dataset> dataset = find_dataset(handle);
  require(dataset != nullptr, ACL_ERROR_INVALID_PARAM, "the dataset was destroyed, or is of another kind");
  return dataset;
}

void require_index(const Dataset& dataset, std::size_t index) {
  require(index < dataset.buffers.size(), ACL_ERROR_INVALID_PARAM, "the index is not below the number of buffers");
}

}  // namespace

std::shared_ptr<Dataset> find_dataset(const aclmdlDataset* handle) { return tables().datasets.find(handle); }
std::shared_ptr<DataBuffer> find_buffer(const aclDataBuffer* handle) { return tables().buffers.find(handle); }

void forget_datasets() {
  tables().datasets.take_if([](const Dataset&) { return true; });
  tables().buffers.take_if([](const DataBuffer&) { return true; });
  forget_tensor_descs();
}

}  // namespace emulator

using namespace emulator;

aclDataBuffer* aclCreateDataBuffer(void* data, size_t size) {
  return exported_value<aclDataBuffer*>(__func__, nullptr, [&] {
    return static_cast<aclDataBuffer*>(tables().buffers.create(std::make_shared<DataBuffer>(DataBuffer{data, size})));
  });
}

aclError aclDestroyDataBuffer(const aclDataBuffer* data_buffer) {
  return exported(__func__, [&] {
    require_buffer(data_buffer);
    tables().buffers.destroy(data_buffer);
  });
}

aclError aclUpdateDataBuffer(aclDataBuffer* data_buffer, void* data, size_t size) {
  return exported(__func__, [&] { *require_buffer(data_buffer) = {data, size}; });
}

void* aclGetDataBufferAddr(const aclDataBuffer* data_buffer) {
  return exported_value<void*>(__func__, nullptr, [&] { return require_buffer(data_buffer)->data; });
}

uint32_t aclGetDataBufferSize(const aclDataBuffer* data_buffer) {
  return exported_value<uint32_t>(__func__, 0,
                                  [&] { return static_cast<uint32_t>(require_buffer(data_buffer)->size); });
}

size_t aclGetDataBufferSizeV2(const aclDataBuffer* data_buffer) {
  return exported_value<size_t>(__func__, 0, [&] { return require_buffer(data_buffer)->size; });
}

aclmdlDataset* aclmdlCreateDataset() {
  return exported_value<aclmdlDataset*>(__func__, nullptr, [] {
    return static_cast<aclmdlDataset*>(tables().datasets.create(std::make_shared<Dataset>()));
  });
}

aclError aclmdlDestroyDataset(const aclmdlDataset* dataset) {
  return exported(__func__, [&] {
    const std::shared_ptr<Dataset> destroyed = require_dataset(dataset);
    tables().datasets.destroy(dataset);
    for (const auto& [index, desc] : destroyed->descs) destroy_tensor_desc(desc);
  });
}

aclError aclmdlAddDatasetBuffer(aclmdlDataset* dataset, aclDataBuffer* data_buffer) {
  return exported(__func__, [&] {
    const std::shared_ptr<Dataset> extended = require_dataset(dataset);
    require_buffer(data_buffer);
    extended->buffers.push_back(data_buffer);
  });
}

size_t aclmdlGetDatasetNumBuffers(const aclmdlDataset* dataset) {
  return exported_value<size_t>(__func__, 0, [&] { return require_dataset(dataset)->buffers.size(); });
}

aclDataBuffer* aclmdlGetDatasetBuffer(const aclmdlDataset* dataset, size_t index) {
  return exported_value<aclDataBuffer*>(__func__, nullptr, [&] {
    const std::shared_ptr<Dataset> asked = require_dataset(dataset);
    require_index(*asked, index);
    return asked->buffers[index];
  });
}

aclError aclmdlSetDatasetTensorDesc(aclmdlDataset* dataset, aclTensorDesc* tensor_desc, size_t index) {
  return exported(__func__, [&] {
    const std::shared_ptr<Dataset> described = require_dataset(dataset);
    require_index(*described, index);
    aclTensorDesc* const copy = tensor_desc == nullptr ? nullptr : copy_tensor_desc(tensor_desc);
    if (const auto old = described->descs.find(index); old != described->descs.end()) {
      destroy_tensor_desc(old->second);
      described->descs.erase(old);
    }
    if (copy != nullptr) described->descs[index] = copy;
  });
}

aclTensorDesc* aclmdlGetDatasetTensorDesc(const aclmdlDataset* dataset, size_t index) {
  return exported_value<aclTensorDesc*>(__func__, nullptr, [&]() -> aclTensorDesc* {
    const std::shared_ptr<Dataset> asked = require_dataset(dataset);
    require_index(*asked, index);
    const auto found = asked->descs.find(index);
    return found == asked->descs.end() ? nullptr : found->second;
  });
}
