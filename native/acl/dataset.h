// What an execution reads and writes: one data buffer for each tensor of the model, in the model's order.
//
// Threads: one at a time; a dataset belongs to one slot. Neither class owns the device memory that it points to.
#pragma once

#include <cstddef>
#include <vector>

#include "acl/owned.h"

struct aclDataBuffer;
struct aclmdlDataset;

namespace npuserve::acl {

// A device address and a length, as the vendor wants them wrapped.
class DataBuffer {
 public:
  // Throws Error.
  DataBuffer(Runtime& runtime, void* device_address, std::size_t size_bytes);

  // Points it elsewhere. Throws Error.
  void update(void* device_address, std::size_t size_bytes) const;

  [[nodiscard]] aclDataBuffer* handle() const noexcept { return buffer_.get(); }

 private:
  Owned<aclDataBuffer*> buffer_;
};

class Dataset {
 public:
  // Throws Error.
  explicit Dataset(Runtime& runtime);

  // The next tensor's buffer. A gear buffer must have exactly the size that the model reports for it: with a longer one
  // the vendor's library writes the gear in elements of twice the width. Throws Error.
  void add(DataBuffer buffer);

  [[nodiscard]] std::size_t size() const noexcept { return buffers_.size(); }
  // REQUIRES: index < size().
  [[nodiscard]] const DataBuffer& operator[](std::size_t index) const { return buffers_[index]; }
  [[nodiscard]] aclmdlDataset* handle() const noexcept { return dataset_.get(); }

 private:
  // In this order: the vendor's dataset points to the buffers and does not free them.
  std::vector<DataBuffer> buffers_;
  Owned<aclmdlDataset*> dataset_;
};

}  // namespace npuserve::acl
