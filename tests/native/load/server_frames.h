// A gRPC server's side of HTTP/2, frame by frame and without any library's help: the channels' witness.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace npuserve::load {

constexpr size_t kPrefaceBytes = 24;

struct Frame {
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t stream_id = 0;
  std::string payload;
};

enum FrameType : uint8_t { kDataFrame = 0, kHeadersFrame = 1, kResetFrame = 3, kSettingsFrame = 4, kGoawayFrame = 7 };
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kEndHeaders = 4;

inline std::string big_endian(size_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

inline std::string frame(uint8_t type, uint8_t flags, uint32_t stream_id, std::string_view payload) {
  std::string text = big_endian(payload.size(), 3);
  text += static_cast<char>(type);
  text += static_cast<char>(flags);
  text += big_endian(stream_id, 4);
  text += payload;
  return text;
}

// Frames of what a client sent, behind the preface.
inline std::vector<Frame> frames_of(std::string_view bytes) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(bytes[at]); };
  std::vector<Frame> frames;
  while (bytes.size() >= 9) {
    const size_t size = size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2);
    const uint32_t stream_id = uint32_t{byte(7)} << 8 | byte(8);
    frames.push_back({byte(3), byte(4), stream_id, std::string(bytes.substr(9, size))});
    bytes.remove_prefix(9 + size);
  }
  return frames;
}

inline std::string literal(std::string_view name, std::string_view value) {
  std::string text;
  text += '\0';
  text += static_cast<char>(name.size());
  text += name;
  text += static_cast<char>(value.size());
  text += value;
  return text;
}

// SETTINGS that lets in so many calls at once.
inline std::string greeting(size_t calls) {
  std::string payload = big_endian(3, 2);
  payload += big_endian(calls, 4);
  return frame(kSettingsFrame, 0, 0, payload);
}

inline std::string head(uint32_t stream_id) {
  return frame(kHeadersFrame, kEndHeaders, stream_id, "\x88");  // :status 200
}

inline std::string prefixed(std::string_view message) {
  std::string text = big_endian(message.size(), 5);
  text += message;
  return text;
}

inline std::string trailers(uint32_t stream_id, std::string_view status, std::string_view message = {}) {
  std::string block = literal("grpc-status", status);
  if (!message.empty()) block += literal("grpc-message", message);
  return frame(kHeadersFrame, kEndHeaders | kEndStream, stream_id, block);
}

inline std::string answer(uint32_t stream_id, std::string_view message) {
  std::string bytes = head(stream_id);
  bytes += frame(kDataFrame, 0, stream_id, prefixed(message));
  bytes += trailers(stream_id, "0");
  return bytes;
}

}  // namespace npuserve::load
