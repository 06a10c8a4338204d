// The texts that gRPC puts into HTTP/2 headers (grpc/PROTOCOL-HTTP2.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace npuserve::wire {

// "grpc-timeout": up to 8 digits and a unit (H M S m u n), in nanoseconds; what does not fit in 63 bits is the largest
// that does. None if it is not well formed.
std::optional<int64_t> parse_timeout_ns(std::string_view text);

// "grpc-message": what is not printable ASCII, and '%', percent-encoded; at most `max_bytes` come out, cut between
// characters (UTF-8) with an ellipsis, so that a peer's header limit never hides the answer.
std::string percent_encode(std::string_view text, size_t max_bytes);

// "-bin" values: base64, with or without padding; bits left over must be zero. One value at a time: what a peer has
// joined by commas is for the caller to split.
std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

bool is_binary_key(std::string_view key);

// Whether gRPC allows the key and the value of custom metadata: keys of 0-9 a-z _ - . and values of printable ASCII.
bool is_valid_key(std::string_view key);
bool is_valid_value(std::string_view value);

// "application/grpc", also with "+proto" or parameters behind it.
bool is_grpc_content_type(std::string_view value);

}  // namespace npuserve::wire
