// Message compression as gRPC names it: "identity", "gzip", and "deflate" (which is zlib's format, RFC 1950).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "wire/buffer.h"

namespace npuserve::wire {

enum class Encoding { kIdentity, kGzip, kDeflate };

std::string_view encoding_name(Encoding encoding);
std::optional<Encoding> encoding_from_name(std::string_view name);

enum class InflateResult { kOk, kTooLarge, kCorrupt };

// Decompresses a whole message into `out`, as grpc-core does: no bytes are the empty message, and nothing may follow
// the compressed stream, not even a second gzip member. Stops as soon as more than `limit_bytes` would come out; the
// buffer grows by doubling and is never larger than that. REQUIRES: encoding is not identity. Throws std::bad_alloc.
InflateResult decompress(Encoding encoding, std::span<const std::byte> message, size_t limit_bytes, Buffer& out);

// Compresses, leaving `prefix_bytes` free at the start of the result. level: 1 to 9, as zlib counts.
// REQUIRES: encoding is not identity. Throws std::bad_alloc.
Buffer compress(Encoding encoding, std::span<const std::byte> message, int level, size_t prefix_bytes);

}  // namespace npuserve::wire
