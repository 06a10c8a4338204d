// A bound by its name, for who configures it.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

namespace npuserve::wire {

template <typename Owner>
struct LimitFieldOf {
  std::string_view name;
  int64_t least;
  int64_t most;
  int64_t (*get)(const Owner&);
  void (*set)(Owner&, int64_t);  // REQUIRES: least <= value <= most
};

inline constexpr int64_t kMostOfLimit = std::numeric_limits<int64_t>::max() / 4;  // sums of two stay in 64 bits
inline constexpr int64_t kMost31OfLimit = std::numeric_limits<int32_t>::max();

template <typename Owner, auto Member>
constexpr LimitFieldOf<Owner> limit_field(std::string_view name, int64_t least, int64_t most) {
  using Value = std::remove_reference_t<decltype(std::declval<Owner&>().*Member)>;
  return {name, least, most, [](const Owner& limits) { return static_cast<int64_t>(limits.*Member); },
          [](Owner& limits, int64_t value) { limits.*Member = static_cast<Value>(value); }};
}

}  // namespace npuserve::wire
