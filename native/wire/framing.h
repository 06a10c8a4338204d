// gRPC's length-prefixed messages: a byte that says "compressed", a length of 4 bytes, big-endian, then the message
// (grpc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/buffer.h"
#include "wire/compression.h"

namespace npuserve::wire {

inline constexpr size_t kPrefixBytes = 5;

// Writes the prefix of a message of `length` bytes. REQUIRES: length < 2^32; room for kPrefixBytes.
void write_prefix(std::byte* to, bool compressed, size_t length);

// A copy of the message behind its prefix, compressed if `encoding` says so. Throws std::bad_alloc.
Buffer frame_message(std::span<const std::byte> message, Encoding encoding, int level);

// Compresses what is framed already, as the codec leaves it. Throws std::bad_alloc.
Buffer compress_framed(Buffer framed, Encoding encoding, int level);

}  // namespace npuserve::wire
