// What an execution is given: data buffers and datasets. Handles, as all else; destroying one never touches the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "acl/abi.h"

namespace emulator {

struct DataBuffer {
  void* data = nullptr;
  std::size_t size = 0;
};

struct Dataset {
  std::vector<aclDataBuffer*> buffers;  // handles, in the order of the tensors; find_buffer says if one still lives
  std::map<std::size_t, aclTensorDesc*> descs;  // own copies, by index
  std::vector<std::int64_t> gear;               // set by the gear functions; empty = none
};

// nullptr if unknown or freed. A dataset is changed by one thread at a time, which is the caller's to see to.
std::shared_ptr<Dataset> find_dataset(const aclmdlDataset* handle);
std::shared_ptr<DataBuffer> find_buffer(const aclDataBuffer* handle);

// Ends the life of all data buffers, datasets and descriptions. At aclFinalize.
void forget_datasets();

}  // namespace emulator
