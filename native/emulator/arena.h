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

// What the vendor adds behind an allocation: nothing, or ALIGN_UP(bytes, 32) + 32 in all.
enum class Padding { none, tensor };

struct MemoryInfo {
  std::size_t free_bytes;
  std::size_t total_bytes;
  std::size_t peak_bytes;
};

// Makes the arenas of all devices, empty. At aclInit.
void create_arenas(int devices, std::size_t bytes_each);

// Ends them and every device allocation. Host memory stays: its owner may still look at it. At aclFinalize.
void destroy_arenas();

// Device memory: 64-byte aligned, poisoned, accounted. Refuses with 207001 on exhaustion.
void* allocate(int device, std::size_t bytes, Padding padding = Padding::tensor);

// Frees what `allocate` returned: refuses interior and unknown addresses (107000) and blocks in use (207002).
void release(void* device_address);

MemoryInfo memory_info(int device);

// Pinned host memory, 64-byte aligned, poisoned; freed by release_host with the rules of `release`.
void* allocate_host(std::size_t bytes);
void release_host(void* address);

// Makes host memory known to the device, and pins it if wanted. 507910 if part of it is registered (or pinned) already;
// 507911 when nothing is registered at the address.
void register_host(void* address, std::size_t bytes, bool pinned);
void unregister_host(void* address);
bool is_registered(const void* address);

// The live device allocation that holds the address, padding included.
std::optional<Block> find_block(const void* device_address);

// The emulator's address of [address, address + bytes) if it lies within what was asked for of one live device
// allocation, else nullptr. Nothing keeps the allocation alive: for work that ends before its call returns.
std::byte* view(const void* device_address, std::size_t bytes);

// The same, holding the allocation: for queued work. Pinned host memory, allocated or registered, is its own view.
Pin pin(const void* address, std::size_t bytes);

// Addresses in a device's range are `device` whether allocated or not; memory registered without pinning is
// `registered_host`, pinned one `pinned_host`.
Where locate(const void* address);

}  // namespace emulator
