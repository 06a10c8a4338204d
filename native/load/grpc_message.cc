#include "load/grpc_message.h"

namespace npuserve::load {
namespace {

constexpr int kUnknown = 2;
constexpr int kOkStatus = 200;

// Fields of ModelStreamInferResponse, as tags: both are length-delimited.
constexpr char kErrorTag = 1 << 3 | 2;
constexpr char kAnswerTag = 2 << 3 | 2;

// A varint at `at`, which moves behind it. False if the text ends first.
bool read_varint(std::string_view text, size_t& at, uint64_t& value) {
  value = 0;
  for (int shift = 0; at < text.size() && shift < 64; shift += 7) {
    const auto byte = static_cast<uint8_t>(text[at++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// The first field of this tag among length-delimited ones.
std::string_view field(std::string_view message, char tag) {
  for (size_t at = 0; at < message.size();) {
    const char found = message[at++];
    uint64_t size = 0;
    if (!read_varint(message, at, size) || size > message.size() - at) return {};
    if (found == tag) return message.substr(at, size);
    at += size;
  }
  return {};
}

}  // namespace

Outcome outcome_of(const H2Call& call, uint32_t code, std::string& text) {
  if (call.grpc_status > 0) return {.code = call.grpc_status, .message = call.message};
  if (call.grpc_status == 0) return {};
  if (code != NGHTTP2_NO_ERROR) {
    text = std::string("the server ended the call with ") + nghttp2_http2_strerror(code);
    return {.code = kConnectionFailed, .message = text};
  }
  if (call.http_status != 0 && call.http_status != kOkStatus) {
    text = "the server answered HTTP " + std::to_string(call.http_status);
    return {.code = kUnknown, .message = text};
  }
  return {.code = kBadAnswer, .message = "the answer has no grpc-status"};
}

std::string_view stream_error(std::string_view message) { return field(message, kErrorTag); }

std::string_view stream_answer(std::string_view message) { return field(message, kAnswerTag); }

}  // namespace npuserve::load
