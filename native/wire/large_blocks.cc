#include "wire/large_blocks.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <new>

namespace npuserve::wire {
namespace {

constexpr size_t kKeepBytes = size_t{128} << 20;

}  // namespace

// Room for as many as can be kept, and for those that several threads give back at once: push_back never allocates.
LargeBlocks::LargeBlocks(size_t keep_bytes) : keep_bytes_(keep_bytes) {
  const core::MutexLock lock(mutex_);
  kept_.reserve(keep_bytes / kLeastBytes + 1024);
}

LargeBlocks::~LargeBlocks() {
  for (const Block& block : kept_) std::free(block.bytes);
}

LargeBlocks& LargeBlocks::of_process() {
  // Never destroyed: threads that outlive main() may still give back.
  static LargeBlocks* const blocks = std::make_unique<LargeBlocks>(kKeepBytes).release();
  return *blocks;
}

size_t LargeBlocks::block_bytes(size_t bytes) {
  const size_t step = std::bit_floor(bytes) / 4;
  return step == 0 ? bytes : (bytes + step - 1) / step * step;
}

std::byte* LargeBlocks::take(size_t block_bytes) {
  {
    const core::MutexLock lock(mutex_);
    // The latest is the likeliest to be in the caches.
    const auto found =
        std::find_if(kept_.rbegin(), kept_.rend(), [&](const Block& b) { return b.size == block_bytes; });
    if (found != kept_.rend()) {
      std::byte* const bytes = found->bytes;
      kept_bytes_ -= block_bytes;
      kept_.erase(std::next(found).base());
      return bytes;
    }
  }
  auto* const fresh = static_cast<std::byte*>(std::malloc(block_bytes));
  if (fresh == nullptr) throw std::bad_alloc();
  return fresh;
}

void LargeBlocks::give_back(std::byte* block, size_t block_bytes) noexcept {
  {
    const core::MutexLock lock(mutex_);
    kept_.push_back({block, block_bytes});
    kept_bytes_ += block_bytes;
  }
  while (std::byte* const oldest = take_surplus()) std::free(oldest);
}

std::byte* LargeBlocks::take_surplus() {
  const core::MutexLock lock(mutex_);
  if (kept_bytes_ <= keep_bytes_) return nullptr;
  const Block oldest = kept_.front();
  kept_bytes_ -= oldest.size;
  kept_.erase(kept_.begin());
  return oldest.bytes;
}

size_t LargeBlocks::kept_bytes() const {
  const core::MutexLock lock(mutex_);
  return kept_bytes_;
}

}  // namespace npuserve::wire
