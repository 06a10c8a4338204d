// Where the request of a token is kept: found in constant time, without an allocation once there is room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace npuserve::engine {

// Not synchronized: its owner's mutex guards it. Tokens of different senders may be equal: each entry is kept.
class TokenTable {
 public:
  // Makes room for so many entries. Throws std::bad_alloc, and then nothing has changed.
  void reserve(size_t entries);

  // REQUIRES: room.
  void insert(uint64_t token, uint32_t place) noexcept;

  // Of equal tokens, any one.
  std::optional<uint32_t> find(uint64_t token) const noexcept;

  // REQUIRES: the entry is there.
  void erase(uint64_t token, uint32_t place) noexcept;

 private:
  static constexpr uint32_t kFree = UINT32_MAX;

  struct Entry {
    uint64_t token = 0;
    uint32_t place = kFree;
  };

  size_t home_of(uint64_t token) const noexcept;
  size_t next(size_t index) const noexcept { return (index + 1) & (entries_.size() - 1); }

  std::vector<Entry> entries_;  // a power of two, at most half of them in use: linear probing stays short
};

}  // namespace npuserve::engine
