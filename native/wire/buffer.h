// Bytes of one message: owned, contiguous, not zeroed.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "wire/large_blocks.h"

namespace npuserve::wire {

struct FreeBlock {
  size_t large_block_bytes = 0;  // 0: the block is malloc's

  void operator()(std::byte* bytes) const {
    if (large_block_bytes == 0) return std::free(bytes);
    LargeBlocks::of_process().give_back(bytes, large_block_bytes);
  }
};

class Buffer {
 public:
  Buffer() = default;

  // Room for `capacity` bytes, none used. Throws std::bad_alloc.
  explicit Buffer(size_t capacity) : bytes_(allocate(capacity)), capacity_(capacity) {}

  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken(std::move(other));
    swap(taken);
    return *this;
  }

  std::byte* data() { return bytes_.get(); }
  const std::byte* data() const { return bytes_.get(); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::span<const std::byte> bytes() const { return {bytes_.get(), size_}; }

  // REQUIRES: size <= capacity(). What is new has any value.
  void resize(size_t size) { size_ = size; }

 private:
  static std::unique_ptr<std::byte, FreeBlock> allocate(size_t capacity) {
    if (capacity >= LargeBlocks::kLeastBytes) {
      const size_t block_bytes = LargeBlocks::block_bytes(capacity);
      return {LargeBlocks::of_process().take(block_bytes), FreeBlock{block_bytes}};
    }
    auto* const bytes = static_cast<std::byte*>(std::malloc(capacity > 0 ? capacity : 1));
    if (bytes == nullptr) throw std::bad_alloc();
    return {bytes, FreeBlock{}};
  }

  void swap(Buffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  std::unique_ptr<std::byte, FreeBlock> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace npuserve::wire
