// Shared memory mapped as the server's Python side maps it.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>

#include "wire/shared_regions.h"

namespace npuserve::wire::test {

inline BorrowedMemory map_shared(int file, uint64_t offset, size_t bytes) {
  void* const mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) throw std::runtime_error("no memory for a region");
  return {{static_cast<std::byte*>(mapped), bytes},
          std::shared_ptr<void>(mapped, [bytes](void* memory) { munmap(memory, bytes); })};
}

}  // namespace npuserve::wire::test
