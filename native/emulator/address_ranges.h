// The free addresses of an arena, by offset. Next fit: an address that was freed is used again as late as possible, so
// that a stale pointer meets no new owner for long.
#pragma once

#include <cstddef>
#include <iterator>
#include <map>
#include <optional>

namespace emulator {

class AddressRanges {
 public:
  explicit AddressRanges(std::size_t bytes) { free_.emplace(0, bytes); }

  std::optional<std::size_t> take(std::size_t bytes) {
    auto range = find(free_.lower_bound(cursor_), free_.end(), bytes);
    if (range == free_.end()) range = find(free_.begin(), free_.end(), bytes);
    if (range == free_.end()) return std::nullopt;
    const auto [offset, length] = *range;
    free_.erase(range);
    if (length > bytes) free_.emplace(offset + bytes, length - bytes);
    cursor_ = offset + bytes;
    return offset;
  }

  // REQUIRES: a range that take returned.
  void give(std::size_t offset, std::size_t bytes) {
    auto range = free_.emplace(offset, bytes).first;
    if (const auto next = std::next(range); next != free_.end() && range->first + range->second == next->first) {
      range->second += next->second;
      free_.erase(next);
    }
    if (range == free_.begin()) return;
    if (const auto previous = std::prev(range); previous->first + previous->second == range->first) {
      previous->second += range->second;
      free_.erase(range);
    }
  }

 private:
  using Map = std::map<std::size_t, std::size_t>;  // offset: length; no two ranges touch

  static Map::iterator find(Map::iterator from, Map::iterator to, std::size_t bytes) {
    while (from != to && from->second < bytes) ++from;
    return from;
  }

  Map free_;
  std::size_t cursor_ = 0;
};

}  // namespace emulator
