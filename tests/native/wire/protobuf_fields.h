// Protobuf's binary format, written by hand for tests: nothing here shares code with the codec.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace npuserve::wire::test {

inline std::string varint(uint64_t value) {
  std::string bytes;
  for (; value > 127; value >>= 7) bytes += static_cast<char>(value | 128);
  return bytes + static_cast<char>(value);
}

inline std::string tag(uint32_t number, uint32_t wire_type) { return varint(number << 3 | wire_type); }

inline std::string field(uint32_t number, const std::string& content) {
  return tag(number, 2) + varint(content.size()) + content;
}

inline std::string field(uint32_t number, uint64_t value) { return tag(number, 0) + varint(value); }

inline std::string packed(std::initializer_list<uint64_t> values) {
  std::string bytes;
  for (const uint64_t value : values) bytes += varint(value);
  return bytes;
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace npuserve::wire::test
