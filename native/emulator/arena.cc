#include "emulator/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "emulator/address_ranges.h"
#include "emulator/block_table.h"
#include "emulator/errors.h"

namespace emulator {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kAlignment = 64;
// NaN in every floating type and -1 in every signed one: what was never written shows. Only up to a size, as poison is
// touched memory.
constexpr int kPoison = 0xFF;
constexpr std::size_t kMostPoisonedBytes = std::size_t{64} << 20;

std::size_t align_up(std::size_t bytes, std::size_t step) { return (bytes + step - 1) / step * step; }

void poison(void* memory, std::size_t bytes) {
  if (bytes <= kMostPoisonedBytes) std::memset(memory, kPoison, bytes);
}

// A reserved range of addresses, given back at the end.
class Mapping {
 public:
  Mapping(std::size_t bytes, int protection) : bytes_(bytes) {
    void* const mapped = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) {
      refuse(ACL_ERROR_RT_MEMORY_ALLOCATION,
             "the host cannot reserve " + std::to_string(bytes) + " bytes of addresses");
    }
    base_ = static_cast<std::byte*>(mapped);
    madvise(base_, bytes_, MADV_DONTDUMP);
  }
  ~Mapping() { munmap(base_, bytes_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* base() const { return base_; }
  bool holds(const void* address) const { return address >= base_ && address < base_ + bytes_; }

 private:
  std::size_t bytes_;
  std::byte* base_ = nullptr;
};

// Blocks start at pages and a page is left free behind each, so small ones take more addresses than memory.
std::size_t address_bytes(std::size_t memory_bytes) {
  return align_up(2 * memory_bytes, kPageBytes) + (std::size_t{1} << 30);
}
std::size_t span_of(std::size_t usable_bytes) { return align_up(usable_bytes, kPageBytes) + kPageBytes; }

struct Arena {
  explicit Arena(std::size_t memory_bytes)
      : total_bytes(memory_bytes),
        addresses(address_bytes(memory_bytes), PROT_NONE),
        memory(address_bytes(memory_bytes), PROT_READ | PROT_WRITE),
        ranges(address_bytes(memory_bytes)) {}

  std::byte* view(const void* address) const {
    return memory.base() + (static_cast<const std::byte*>(address) - addresses.base());
  }

  std::size_t total_bytes;
  std::size_t used_bytes = 0;
  std::size_t peak_bytes = 0;
  Mapping addresses;
  Mapping memory;
  AddressRanges ranges;
  BlockTable blocks;
};

struct Memory {
  std::mutex mutex;
  std::vector<std::shared_ptr<Arena>> arenas;  // guarded by mutex, as all below; shared with who gives pages back
  BlockTable host;
  BlockTable registered;
  BlockTable pinned;  // registered as pinned: a part of `registered`
};

// Leaked on purpose: host memory may be looked at, and freed, while the program exits.
Memory& memory() {
  static Memory& all = *new Memory();
  return all;
}

// REQUIRES: the mutex held, for all below.
Arena* arena_of(const Memory& all, const void* address) {
  for (const auto& arena : all.arenas) {
    if (arena->addresses.holds(address)) return arena.get();
  }
  return nullptr;
}

Arena& arena_of(const Memory& all, int device) {
  require(static_cast<std::size_t>(device) < all.arenas.size(), ACL_ERROR_RT_INVALID_DEVICEID,
          "the device has no memory");
  return *all.arenas[static_cast<std::size_t>(device)];
}

[[noreturn]] void refuse_exhausted(const Arena& arena, int device, std::size_t bytes) {
  refuse(ACL_ERROR_RT_MEMORY_ALLOCATION,
         "device " + std::to_string(device) + " has " + std::to_string(arena.total_bytes - arena.used_bytes) + " of " +
             std::to_string(arena.total_bytes) + " bytes free, fewer than the " + std::to_string(bytes) + " asked for");
}

Block add_block(Arena& arena, int device, std::size_t bytes, Padding padding) {
  if (bytes > arena.total_bytes) refuse_exhausted(arena, device, bytes);
  const std::size_t usable = align_up(bytes, 32) + (padding == Padding::tensor ? 32 : 0);
  if (usable > arena.total_bytes - arena.used_bytes) refuse_exhausted(arena, device, bytes);
  const auto offset = arena.ranges.take(span_of(usable));
  if (!offset) refuse_exhausted(arena, device, bytes);
  const Block block{arena.addresses.base() + *offset, bytes, usable, device};
  arena.blocks.insert(block);
  arena.used_bytes += usable;
  arena.peak_bytes = std::max(arena.peak_bytes, arena.used_bytes);
  return block;
}

}  // namespace

void create_arenas(int devices, std::size_t bytes_each) {
  std::vector<std::shared_ptr<Arena>> arenas;
  arenas.reserve(static_cast<std::size_t>(devices));
  for (int device = 0; device < devices; ++device) arenas.push_back(std::make_shared<Arena>(bytes_each));
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  all.arenas = std::move(arenas);
}

void destroy_arenas() {
  std::vector<std::shared_ptr<Arena>> arenas;
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  arenas.swap(all.arenas);
}

void* allocate(int device, std::size_t bytes, Padding padding) {
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  Arena& arena = arena_of(all, device);
  const Block block = add_block(arena, device, bytes, padding);
  poison(arena.view(block.base), block.usable_bytes);
  return block.base;
}

void release(void* device_address) {
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  Arena* const arena = arena_of(all, device_address);
  require(arena != nullptr, ACL_ERROR_RT_PARAM_INVALID, "the address is not of device memory");
  const Block block = arena->blocks.take(device_address, ACL_ERROR_RT_PARAM_INVALID);
  madvise(arena->view(block.base), align_up(block.usable_bytes, kPageBytes), MADV_DONTNEED);
  arena->used_bytes -= block.usable_bytes;
  arena->ranges.give(static_cast<std::size_t>(block.base - arena->addresses.base()), span_of(block.usable_bytes));
}

MemoryInfo memory_info(int device) {
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  const Arena& arena = arena_of(all, device);
  return {arena.total_bytes - arena.used_bytes, arena.total_bytes, arena.peak_bytes};
}

void* allocate_host(std::size_t bytes) {
  const std::size_t rounded = align_up(std::max(bytes, kAlignment), kAlignment);
  void* const address = rounded < bytes ? nullptr : std::aligned_alloc(kAlignment, rounded);
  if (address == nullptr) {
    refuse(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host has not the " + std::to_string(bytes) + " bytes asked for");
  }
  poison(address, bytes);
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  all.host.insert({static_cast<std::byte*>(address), bytes, bytes, -1});
  return address;
}

void release_host(void* address) {
  {
    Memory& all = memory();
    const std::lock_guard lock(all.mutex);
    const Block* const block = all.host.find(address);
    require(block == nullptr || !all.registered.overlaps(block->base, block->bytes), ACL_ERROR_RT_MEMORY_FREE,
            "the memory is registered: unregister it first");
    all.host.take(address, ACL_ERROR_RT_PARAM_INVALID);
  }
  std::free(address);
}

void register_host(void* address, std::size_t bytes, bool pinned) {
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  const bool known = all.registered.overlaps(address, bytes) || (pinned && all.host.overlaps(address, bytes));
  require(!known, ACL_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "the memory is registered or pinned already");
  const Block block{static_cast<std::byte*>(address), bytes, bytes, -1};
  all.registered.insert(block);
  if (pinned) all.pinned.insert(block);
}

void unregister_host(void* address) {
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  if (all.pinned.find(address) != nullptr) all.pinned.take(address, ACL_ERROR_HOST_MEMORY_NOT_REGISTERED);
  all.registered.take(address, ACL_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

bool is_registered(const void* address) {
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  return all.registered.find(address) != nullptr;
}

std::optional<Block> find_block(const void* device_address) {
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  const Arena* const arena = arena_of(all, device_address);
  const Block* const block = arena == nullptr ? nullptr : arena->blocks.find(device_address);
  return block == nullptr ? std::nullopt : std::optional(*block);
}

std::byte* view(const void* device_address, std::size_t bytes) {
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  const Arena* const arena = arena_of(all, device_address);
  if (arena == nullptr || arena->blocks.find(device_address, bytes) == nullptr) return nullptr;
  return arena->view(device_address);
}

Pin pin(const void* address, std::size_t bytes) {
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  if (const Arena* const arena = arena_of(all, address); arena != nullptr) {
    const Block* const block = arena->blocks.find(address, bytes);
    return block == nullptr ? Pin{} : Pin{arena->view(address), arena->blocks.hold(*block)};
  }
  for (const BlockTable* table : {&all.host, &all.pinned}) {
    if (const Block* const block = table->find(address, bytes); block != nullptr) {
      return {block->base + (static_cast<const std::byte*>(address) - block->base), table->hold(*block)};
    }
  }
  return {};
}

Where locate(const void* address) {
  Memory& all = memory();
  const std::lock_guard lock(all.mutex);
  if (arena_of(all, address) != nullptr) return Where::device;
  if (all.host.find(address) != nullptr || all.pinned.find(address) != nullptr) return Where::pinned_host;
  return all.registered.find(address) != nullptr ? Where::registered_host : Where::pageable;
}

}  // namespace emulator
