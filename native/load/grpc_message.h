// gRPC's framing and statuses, as far as a client needs them that only counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "load/channel.h"
#include "load/h2_client.h"

namespace npuserve::load {

constexpr size_t kPrefixBytes = 5;

// The bytes of the first message with its prefix, or 0 while the prefix has not come whole.
inline size_t message_bytes(std::string_view received) {
  if (received.size() < kPrefixBytes) return 0;
  size_t bytes = 0;
  for (size_t i = 1; i < kPrefixBytes; ++i) bytes = bytes << 8 | static_cast<uint8_t>(received[i]);
  return bytes + kPrefixBytes;
}

// How a closed call ended. code: of HTTP/2. text: keeps what the message says if it is made here.
Outcome outcome_of(const H2Call& call, uint32_t code, std::string& text);

// The error that a ModelStreamInferResponse carries; empty if it carries an answer.
std::string_view stream_error(std::string_view message);

// The answer that it carries.
std::string_view stream_answer(std::string_view message);

}  // namespace npuserve::load
