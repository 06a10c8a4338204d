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

// A part of a shared memory object, mapped as long as anyone holds it: a request that was submitted keeps its memory,
// though the region is unregistered meanwhile.
class SharedRegion {
 public:
  // Maps `size_bytes` bytes at `offset` of the file, of which it keeps a descriptor of its own. REQUIRES: the file is
  // that long; offset is a multiple of the page size. Throws std::system_error.
  SharedRegion(int file, uint64_t offset, size_t size_bytes);
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  // The bytes at an offset of the region, writable. Empty if any of them lies outside, or if the object has become
  // smaller than the region: touching pages that its owner took away would kill the process. Any thread.
  std::span<std::byte> part(uint64_t offset, uint64_t size_bytes) const;

 private:
  const std::span<std::byte> bytes_;
  const uint64_t least_file_bytes_;
  const int file_;
};

// The regions by name. One thread, the loop's.
class SharedRegions {
 public:
  // False if the system does not give the mapping; requests that name the region are then the handlers'. REQUIRES: as
  // SharedRegion.
  bool add(std::string name, int file, uint64_t offset, size_t size_bytes);

  // It need not be there.
  void remove(std::string_view name);

  bool empty() const { return regions_.empty(); }

  // Null if there is none.
  std::shared_ptr<const SharedRegion> find(std::string_view name) const;

 private:
  std::map<std::string, std::shared_ptr<const SharedRegion>, std::less<>> regions_;
};

}  // namespace npuserve::wire
