#include "emulator/block_table.h"

#include <iterator>

#include "emulator/errors.h"

namespace emulator {

void BlockTable::insert(const Block& block) { blocks_.emplace(block.base, Live{block, std::make_shared<char>()}); }

const Block* BlockTable::find(const void* address) const {
  const auto* const byte = static_cast<const std::byte*>(address);
  const auto above = blocks_.upper_bound(byte);
  if (above == blocks_.begin()) return nullptr;
  const Block& block = std::prev(above)->second.block;
  return byte < block.base + block.usable_bytes ? &block : nullptr;
}

const Block* BlockTable::find(const void* address, std::size_t bytes) const {
  const Block* const block = find(address);
  if (block == nullptr) return nullptr;
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) - block->base);
  return offset <= block->bytes && bytes <= block->bytes - offset ? block : nullptr;
}

bool BlockTable::overlaps(const void* address, std::size_t bytes) const {
  const auto* const byte = static_cast<const std::byte*>(address);
  const auto next = blocks_.lower_bound(byte);
  return find(address) != nullptr || (next != blocks_.end() && next->first < byte + bytes);
}

std::shared_ptr<const void> BlockTable::hold(const Block& block) const { return blocks_.at(block.base).token; }

Block BlockTable::take(const void* base, aclError unknown) {
  const auto found = blocks_.find(static_cast<const std::byte*>(base));
  if (found == blocks_.end()) {
    refuse(unknown, find(base) != nullptr ? "the address lies inside an allocation, it is not its start"
                                          : "the address is not of a live allocation (freed, or of another kind)");
  }
  require(found->second.token.use_count() == 1, ACL_ERROR_RT_MEMORY_FREE,
          "a stream's queued work still uses the memory");
  const Block block = found->second.block;
  blocks_.erase(found);
  return block;
}

}  // namespace emulator
