// Copies between host and device.
//
// Threads: any with the stream's context current.
#pragma once

#include <cstddef>

#include "acl/stream.h"

namespace npuserve::acl {

enum class CopyKind { kHostToDevice, kDeviceToHost, kDeviceToDevice };

// Enqueues a copy of `size_bytes` from `source` to the start of `target`, which has room for `target_size_bytes`. Host
// memory must be pinned, or the call blocks; it must stay alive and untouched until the stream has passed the copy.
// Throws Error.
void copy_async(void* target, std::size_t target_size_bytes, const void* source, std::size_t size_bytes, CopyKind kind,
                const Stream& stream);

// The same, done on return. Blocks. REQUIRES: a current context. Throws Error.
void copy(Runtime& runtime, void* target, std::size_t target_size_bytes, const void* source, std::size_t size_bytes,
          CopyKind kind);

}  // namespace npuserve::acl
