#include "acl/dataset.h"

#include <utility>

#include "acl/call.h"

namespace npuserve::acl {
namespace {

Owned<aclDataBuffer*> create_buffer(Runtime& runtime, void* address, std::size_t size_bytes) {
  aclDataBuffer* const buffer = created(runtime, runtime.functions().aclCreateDataBuffer, address, size_bytes);
  return {runtime, buffer, [](Runtime& owner, aclDataBuffer* handle) noexcept {
            release(owner, owner.functions().aclDestroyDataBuffer, handle);
          }};
}

Owned<aclmdlDataset*> create_dataset(Runtime& runtime) {
  aclmdlDataset* const dataset = created(runtime, runtime.functions().aclmdlCreateDataset);
  return {runtime, dataset, [](Runtime& owner, aclmdlDataset* handle) noexcept {
            release(owner, owner.functions().aclmdlDestroyDataset, handle);
          }};
}

}  // namespace

DataBuffer::DataBuffer(Runtime& runtime, void* device_address, std::size_t size_bytes)
    : buffer_(create_buffer(runtime, device_address, size_bytes)) {}

void DataBuffer::update(void* device_address, std::size_t size_bytes) const {
  check(buffer_.runtime(), buffer_.runtime().functions().aclUpdateDataBuffer, handle(), device_address, size_bytes);
}

Dataset::Dataset(Runtime& runtime) : dataset_(create_dataset(runtime)) {}

void Dataset::add(DataBuffer buffer) {
  // Ours first: the vendor's pointer must never outlive the buffer.
  buffers_.push_back(std::move(buffer));
  try {
    check(dataset_.runtime(), dataset_.runtime().functions().aclmdlAddDatasetBuffer, handle(),
          buffers_.back().handle());
  } catch (const Error&) {
    buffers_.pop_back();
    throw;
  }
}

}  // namespace npuserve::acl
