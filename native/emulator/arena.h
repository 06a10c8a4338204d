// Memory: each device's arena, and host memory that the library made or registered.
//
// A device address is a number in a range that is reserved without access (PROT_NONE), so that a host access faults.
// The bytes lie elsewhere, at the same offset of the emulator's own mapping, where only `view` and `pin` lead.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "acl/abi.h"

namespace emulator {

enum class Where { device, pinned_host, registered_host, pageable };

// A live allocation as its owner asked for it and as it is laid out.
struct Block {
  std::byte* base;
  std::size_t bytes;         // asked for
  std::size_t usable_bytes;  // ALIGN_UP(bytes, 32) + 32 where the vendor pads: what a tensor in it may span
  int device;                // -1: host memory
};

// Access to a part of a live allocation. While any copy of `hold` lives, freeing the allocation is refused (207002).
struct Pin {
  std::byte* view = nullptr;  // the emulator's own address of the bytes; nullptr: not within one live allocation
  std::shared_ptr<const void> hold;
  explicit operator bool() const { return view != nullptr; }
};

// How much a block is padded on the device.
enum class Padding { none, tensor };

// Device memory of one device: 64-byte aligned, poisoned, accounted. Throws a Refusal (207001) on exhaustion.
void* allocate(int device, std::size_t bytes, Padding padding = Padding::tensor);

// Frees a base address of `allocate`: refuses interior and unknown addresses (107000) and blocks in use (207002).
void release(void* device_address);

struct MemoryInfo {
  std::size_t free_bytes;
  std::size_t total_bytes;
};
MemoryInfo memory_info(int device);

// Pinned host memory, 64-byte aligned, poisoned; freed by release_host with the rules of `release`.
void* allocate_host(std::size_t bytes);
void release_host(void* address);

// Makes pageable host memory known: pinned memory when `pinned`, only mapped for kernels else.
// 507910 when part of it is known already, 507911 when nothing is registered at `address`.
void register_host(void* address, std::size_t bytes, bool pinned);
void unregister_host(void* address);

// The live device allocation that holds the address.
std::optional<Block> find_block(const void* device_address);

// The emulator's address of [address, address + bytes) if it lies within one live device allocation, else nullptr.
std::byte* view(const void* device_address, std::size_t bytes);

// view, keeping the allocation from being freed: what queued work must hold. Pinned host memory is its own view.
Pin pin(const void* address, std::size_t bytes);

// Addresses in a device's range are `device` whether allocated or not.
Where locate(const void* address);

// Gives every arena back; live allocations end. At aclFinalize.
void reset_memory();

}  // namespace emulator
