// System shared memory as requests refer to it: the C++ side of npuserve.service.regions, which alone decides what is
// registered and says why a reference is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace npuserve::wire {

// Memory that somebody else mapped.
struct BorrowedMemory {
  std::span<std::byte> bytes;
  std::shared_ptr<const void> owner;  // keeps the bytes mapped; let go of on any thread
};

// A part of a shared memory object, mapped as long as anyone holds it: a request that was submitted keeps its memory,
// though the region is unregistered meanwhile.
class SharedRegion {
 public:
  // memory: the file from `offset` on, mapped writable. Keeps a descriptor of its own of the file. Throws
  // std::system_error.
  SharedRegion(int file, uint64_t offset, BorrowedMemory memory);
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  // The bytes at an offset of the region, writable. Empty if any of them lies outside, or if the object has become
  // smaller than the region: touching pages that its owner took away would kill the process. Any thread.
  std::span<std::byte> part(uint64_t offset, uint64_t size_bytes) const;

 private:
  const BorrowedMemory memory_;
  const uint64_t least_file_bytes_;
  const int file_;
};

// The regions by name. One thread, the loop's.
class SharedRegions {
 public:
  // False if the system does not give what it needs; requests that name the region are then the handlers'. REQUIRES: as
  // SharedRegion.
  bool add(std::string name, int file, uint64_t offset, BorrowedMemory memory);

  // It need not be there.
  void remove(std::string_view name);

  bool empty() const { return regions_.empty(); }

  // Null if there is none.
  std::shared_ptr<const SharedRegion> find(std::string_view name) const;

 private:
  std::map<std::string, std::shared_ptr<const SharedRegion>, std::less<>> regions_;
};

}  // namespace npuserve::wire
