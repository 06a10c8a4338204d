#include "wire/framing.h"

#include <cstring>

namespace npuserve::wire {

void write_prefix(std::byte* to, bool compressed, size_t length) {
  to[0] = std::byte{compressed};
  for (size_t i = 1; i < kPrefixBytes; ++i) {
    to[i] = static_cast<std::byte>(length >> (8 * (kPrefixBytes - 1 - i)));
  }
}

Buffer frame_message(std::span<const std::byte> message, Encoding encoding, int level) {
  if (encoding != Encoding::kIdentity) {
    Buffer framed = compress(encoding, message, level, kPrefixBytes);
    write_prefix(framed.data(), true, framed.size() - kPrefixBytes);
    return framed;
  }
  Buffer framed(kPrefixBytes + message.size());
  framed.resize(kPrefixBytes + message.size());
  write_prefix(framed.data(), false, message.size());
  if (!message.empty()) std::memcpy(framed.data() + kPrefixBytes, message.data(), message.size());
  return framed;
}

Buffer compress_framed(Buffer framed, Encoding encoding, int level) {
  if (encoding == Encoding::kIdentity) return framed;
  return frame_message(framed.bytes().subspan(kPrefixBytes), encoding, level);
}

}  // namespace npuserve::wire
