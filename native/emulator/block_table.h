// The live allocations of one kind of memory, by address. Not thread-safe: arena.cc holds its mutex.
#pragma once

#include <cstddef>
#include <map>
#include <memory>

#include "emulator/arena.h"

namespace emulator {

class BlockTable {
 public:
  void insert(const Block& block);

  // The block that holds the address; nullptr if none.
  const Block* find(const void* address) const;

  // The same if the block holds all of [address, address + bytes), as many bytes as its owner asked for.
  const Block* find(const void* address, std::size_t bytes) const;

  bool overlaps(const void* address, std::size_t bytes) const;

  // Counts one more use of the block at `base` until the result and its copies are gone.
  std::shared_ptr<const void> hold(const Block& block) const;

  // Takes the block at exactly `base` out. Refuses other addresses with `unknown`, a block in use with 207002.
  Block take(const void* base, aclError unknown);

  std::size_t size() const { return blocks_.size(); }

 private:
  struct Live {
    Block block;
    std::shared_ptr<const void> token;  // one copy here, one in each hold
  };

  std::map<const std::byte*, Live> blocks_;
};

}  // namespace emulator
