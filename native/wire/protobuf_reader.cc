#include "wire/protobuf_reader.h"

#include <array>
#include <limits>

namespace npuserve::wire {
namespace {

constexpr int kMaxVarintBytes = 10;
constexpr int kMaxTagBytes = 5;

bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// The bytes of the character that starts with `lead`, 0 if none does; and what its second byte may be, which rules out
// overlong forms, surrogates and what lies beyond U+10FFFF (the table of Unicode, section 3.9, "well-formed").
struct Sequence {
  size_t bytes;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
};

Sequence sequence_of(unsigned char lead) {
  if (lead < 0xC2) return {0};
  if (lead < 0xE0) return {2};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

// The bytes of the character of more than one byte that the text starts with; 0 if it is not well formed.
size_t character_bytes(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const Sequence sequence = sequence_of(byte(0));
  if (sequence.bytes == 0 || text.size() < sequence.bytes) return 0;
  if (byte(1) < sequence.low || byte(1) > sequence.high) return 0;
  for (size_t i = 2; i < sequence.bytes; ++i) {
    if (!is_continuation(byte(i))) return 0;
  }
  return sequence.bytes;
}

size_t ascii_prefix(std::string_view text) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= text.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    if ((word & kHighBits) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

}  // namespace

bool ProtobufReader::next(Field& field) {
  if (at_ == end_ || !ok_) return false;
  return read_tag(field.tag) && read_payload(field);
}

bool ProtobufReader::read_payload(Field& field) {
  switch (type_of(field.tag)) {
    case WireType::kVarint:
      return read_varint(field.value);
    case WireType::kFixed64:
      return read_bytes(8, field.bytes);
    case WireType::kBytes: {
      uint64_t size = 0;
      return read_varint(size) && read_bytes(size, field.bytes);
    }
    case WireType::kGroup:
      return skip_group(field.tag);
    case WireType::kFixed32:
      return read_bytes(4, field.bytes);
    case WireType::kEndGroup:
      break;
  }
  return fail();
}

bool ProtobufReader::read_long_tag(uint32_t& tag) {
  uint64_t wide = 0;
  for (int i = 0; i < kMaxTagBytes && at_ != end_; ++i) {
    const auto byte = std::to_integer<uint64_t>(*at_++);
    wide |= (byte & 0x7F) << (7 * i);
    if (byte >= 0x80) continue;
    tag = static_cast<uint32_t>(wide);
    // Field numbers start at 1.
    return (wide >= 8 && wide <= std::numeric_limits<uint32_t>::max()) || fail();
  }
  return fail();
}

bool ProtobufReader::read_long_varint(uint64_t& value) {
  value = 0;
  for (int i = 0; i < kMaxVarintBytes && at_ != end_; ++i) {
    const auto byte = std::to_integer<uint64_t>(*at_++);
    value |= (byte & 0x7F) << (7 * i);
    if (byte < 0x80) return true;
  }
  return fail();
}

bool ProtobufReader::skip_group(uint32_t tag) {
  std::array<uint32_t, kMaxDepth> open;
  int depth = 0;
  open[0] = tag;
  if (depth_ < 1) return fail();
  for (Field field; depth >= 0;) {
    if (at_ == end_ || !read_tag(field.tag)) return fail();
    if (type_of(field.tag) == WireType::kGroup) {
      if (++depth == depth_) return fail();
      open[static_cast<size_t>(depth)] = field.tag;
    } else if (type_of(field.tag) == WireType::kEndGroup) {
      if (number_of(open[static_cast<size_t>(depth--)]) != number_of(field.tag)) return fail();
    } else if (!read_payload(field)) {
      return false;
    }
  }
  return true;
}

bool is_utf8(std::string_view text) {
  for (text.remove_prefix(ascii_prefix(text)); !text.empty(); text.remove_prefix(ascii_prefix(text))) {
    const size_t bytes = character_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace npuserve::wire
