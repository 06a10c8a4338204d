// Memory of large messages, kept for the next ones. A block that comes fresh from the system costs a page fault for
// every 4 KiB that is written first, as much as the copy into it; that of a 16 MB tensor would be asked for and given
// back with every call.
#pragma once

#include <cstddef>
#include <vector>

#include "core/mutex.h"

namespace npuserve::wire {

// Any thread: blocks are taken by the loop and by the engine's threads, and given back by either.
class LargeBlocks {
 public:
  static constexpr size_t kLeastBytes = size_t{256} * 1024;  // smaller ones malloc recycles well enough

  // keep_bytes: at most so much is kept; what was given back longest ago goes first.
  explicit LargeBlocks(size_t keep_bytes);
  ~LargeBlocks();
  LargeBlocks(const LargeBlocks&) = delete;
  LargeBlocks& operator=(const LargeBlocks&) = delete;

  // The one of the process, as malloc's own free lists are.
  static LargeBlocks& of_process();

  // What a request for `bytes` takes: the next of four sizes between two powers of two, so that like messages find each
  // other's blocks.
  static size_t block_bytes(size_t bytes);

  // REQUIRES: `block_bytes` is at least kLeastBytes and what block_bytes() returned. Throws std::bad_alloc.
  std::byte* take(size_t block_bytes) EXCLUDES_LOCK(mutex_);
  void give_back(std::byte* block, size_t block_bytes) noexcept EXCLUDES_LOCK(mutex_);

  size_t kept_bytes() const EXCLUDES_LOCK(mutex_);

 private:
  struct Block {
    std::byte* bytes;
    size_t size;
  };

  std::byte* take_surplus() EXCLUDES_LOCK(mutex_);

  const size_t keep_bytes_;
  mutable core::Mutex mutex_;
  std::vector<Block> kept_ GUARDED_BY(mutex_);  // in the order in which they were given back
  size_t kept_bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace npuserve::wire
