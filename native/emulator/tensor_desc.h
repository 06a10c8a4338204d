// Tensor descriptions and the sizes of data types.
#pragma once

#include <cstddef>

#include "acl/abi.h"

namespace emulator {

// Bytes of one element; 0 for types without such a size.
std::size_t element_bytes(aclDataType type);

// A new handle with the same content. Refuses an unknown or freed one (100000).
aclTensorDesc* copy_tensor_desc(const aclTensorDesc* handle);
void destroy_tensor_desc(const aclTensorDesc* handle);
void forget_tensor_descs();

}  // namespace emulator
