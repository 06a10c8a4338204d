// Bytes of one message: owned, contiguous, not zeroed.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <utility>

namespace npuserve::wire {

class Buffer {
 public:
  Buffer() = default;

  // Room for `capacity` bytes, none used. Throws std::bad_alloc.
  explicit Buffer(size_t capacity) : bytes_(static_cast<std::byte*>(std::malloc(capacity > 0 ? capacity : 1))) {
    if (!bytes_) throw std::bad_alloc();
    capacity_ = capacity;
  }

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
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };

  void swap(Buffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  std::unique_ptr<std::byte, Free> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace npuserve::wire
