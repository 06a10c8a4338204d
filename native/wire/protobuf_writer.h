// Writes protobuf's binary format into memory whose exact size was computed before.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "wire/protobuf_reader.h"

namespace npuserve::wire {

// Seven bits a byte, at least one byte.
constexpr size_t varint_bytes(uint64_t value) { return (static_cast<size_t>(std::bit_width(value | 1)) + 6) / 7; }

// A length-delimited field of a number below 16: its tag is one byte.
constexpr size_t bytes_field_bytes(size_t length) { return 1 + varint_bytes(length) + length; }

class ProtobufWriter {
 public:
  explicit ProtobufWriter(std::byte* to) : to_(to) {}

  void put_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) *to_++ = static_cast<std::byte>(value | 0x80);
    *to_++ = static_cast<std::byte>(value);
  }

  // What comes before a length-delimited field's payload. REQUIRES: number < 16.
  void put_head(uint32_t number, size_t length) {
    *to_++ = static_cast<std::byte>(tag_of(number, WireType::kBytes));
    put_varint(length);
  }

  void put_text(uint32_t number, std::string_view text) {
    put_head(number, text.size());
    if (!text.empty()) std::memcpy(advance(text.size()), text.data(), text.size());
  }

  // Room for bytes that someone else writes.
  std::byte* advance(size_t bytes) {
    std::byte* const at = to_;
    to_ += bytes;
    return at;
  }

 private:
  std::byte* to_;
};

}  // namespace npuserve::wire
