#include "engine/token_table.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace npuserve::engine {

void TokenTable::reserve(size_t entries) {
  const size_t wanted = std::bit_ceil(std::max<size_t>(16, 2 * entries));
  if (wanted <= entries_.size()) return;
  const std::vector<Entry> old = std::exchange(entries_, std::vector<Entry>(wanted));
  for (const Entry& entry : old) {
    if (entry.place != kFree) insert(entry.token, entry.place);
  }
}

// Tokens are mostly numbers one after another, or a connection's number with a stream's: the product spreads both over
// the upper bits.
size_t TokenTable::home_of(uint64_t token) const noexcept {
  const uint64_t mixed = (token ^ (token >> 32)) * 0x9e3779b97f4a7c15U;
  return static_cast<size_t>(mixed >> 32) & (entries_.size() - 1);
}

void TokenTable::insert(uint64_t token, uint32_t place) noexcept {
  size_t index = home_of(token);
  while (entries_[index].place != kFree) index = next(index);
  entries_[index] = {token, place};
}

std::optional<uint32_t> TokenTable::find(uint64_t token) const noexcept {
  if (entries_.empty()) return std::nullopt;
  for (size_t index = home_of(token); entries_[index].place != kFree; index = next(index)) {
    if (entries_[index].token == token) return entries_[index].place;
  }
  return std::nullopt;
}

// Entries behind the gap that probing would no longer reach move into it, so that no mark is left behind.
void TokenTable::erase(uint64_t token, uint32_t place) noexcept {
  size_t gap = home_of(token);
  while (entries_[gap].token != token || entries_[gap].place != place) gap = next(gap);
  for (size_t index = next(gap); entries_[index].place != kFree; index = next(index)) {
    const size_t mask = entries_.size() - 1;
    const size_t from_home = (index - home_of(entries_[index].token)) & mask;
    if (from_home < ((index - gap) & mask)) continue;
    entries_[gap] = entries_[index];
    gap = index;
  }
  entries_[gap] = {};
}

}  // namespace npuserve::engine
