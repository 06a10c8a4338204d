// What an execution is given: data buffers and datasets. Handles, as all else; destroying one never touches the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "acl/abi.h"

namespace emulator {

struct DataBuffer {
  void* data = nullptr;
  std::size_t size = 0;
};

struct TensorDesc {
  aclDataType type = ACL_DT_UNDEFINED;
  aclFormat format = ACL_FORMAT_UNDEFINED;
  std::vector<std::int64_t> dims;
};

struct Dataset {
  std::vector<const aclDataBuffer*>
      buffers;                     // handles, in the order of the tensors; find_buffer says if one still lives
  std::vector<std::int64_t> gear;  // set by the gear functions; empty = none
};

// nullptr if unknown or freed.
std::shared_ptr<Dataset> find_dataset(const aclmdlDataset* handle);
std::shared_ptr<DataBuffer> find_buffer(const aclDataBuffer* handle);

// Ends the life of all data buffers, datasets and descriptions. At aclFinalize.
void forget_datasets();

}  // namespace emulator
