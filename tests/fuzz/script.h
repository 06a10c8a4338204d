// A fuzzer's input read as a script: every byte string is one, and what is behind its end is zero.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace npuserve::fuzz {

class Script {
 public:
  explicit Script(std::span<const std::byte> bytes) : rest_(bytes) {}

  bool done() const { return rest_.empty(); }

  uint8_t byte() {
    const std::span<const std::byte> taken = take(1);
    return taken.empty() ? uint8_t{0} : static_cast<uint8_t>(taken.front());
  }

  // Two bytes, the lower first.
  size_t number() {
    const size_t low = byte();
    return low | size_t{byte()} << 8U;
  }

  // So many bytes, or as many as are left.
  std::span<const std::byte> take(size_t count) {
    const auto taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const std::byte> rest_;
};

}  // namespace npuserve::fuzz
