// Reads protobuf's binary format (protobuf.dev/programming-guides/encoding) field by field, accepting what protobuf's
// own parser (upb) accepts: varints of up to 10 bytes whose bits above the 64th are dropped, tags of up to 5 bytes,
// unknown groups nested 100 deep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace npuserve::wire {

enum class WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kGroup = 3, kEndGroup = 4, kFixed32 = 5 };

// What a switch compares: a known number with another wire type than its own is an unknown field.
constexpr uint32_t tag_of(uint32_t number, WireType type) { return number << 3 | static_cast<uint32_t>(type); }

constexpr uint32_t number_of(uint32_t tag) { return tag >> 3; }
constexpr WireType type_of(uint32_t tag) { return static_cast<WireType>(tag & 7); }

struct Field {
  uint32_t tag = 0;
  uint64_t value = 0;                // kVarint
  std::span<const std::byte> bytes;  // kBytes, kFixed32, kFixed64; a kGroup is skipped whole

  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

class ProtobufReader {
 public:
  explicit ProtobufReader(std::span<const std::byte> message) : ProtobufReader(message, kMaxDepth) {}

  // Takes the next field. False at the end, and at the first mistake: then ok() is false too.
  bool next(Field& field);

  // Takes a varint of a packed list. False at the end and at a mistake.
  bool next_varint(uint64_t& value) { return at_ != end_ && read_varint(value); }

  bool ok() const { return ok_; }

  // A reader of a field's sub-message.
  ProtobufReader nested(const Field& field) const { return {field.bytes, depth_ - 1}; }

 private:
  static constexpr int kMaxDepth = 100;

  ProtobufReader(std::span<const std::byte> message, int depth)
      : at_(message.data()), end_(message.data() + message.size()), depth_(depth) {}

  bool fail() {
    ok_ = false;
    return false;
  }

  bool read_tag(uint32_t& tag) {
    const auto first = std::to_integer<uint32_t>(*at_);
    if (first >= 0x80) return read_long_tag(tag);
    ++at_;
    tag = first;
    return first >= 8 || fail();
  }

  bool read_varint(uint64_t& value) {
    if (at_ == end_) return fail();
    const auto first = std::to_integer<uint64_t>(*at_);
    if (first >= 0x80) return read_long_varint(value);
    ++at_;
    value = first;
    return true;
  }

  bool read_bytes(uint64_t size, std::span<const std::byte>& bytes) {
    if (size > static_cast<uint64_t>(end_ - at_)) return fail();
    bytes = {at_, static_cast<size_t>(size)};
    at_ += size;
    return true;
  }

  bool read_long_tag(uint32_t& tag);
  bool read_long_varint(uint64_t& value);
  bool read_payload(Field& field);
  bool skip_group(uint32_t tag);

  const std::byte* at_;
  const std::byte* end_;
  int depth_;
  bool ok_ = true;
};

bool is_utf8(std::string_view text);

}  // namespace npuserve::wire
