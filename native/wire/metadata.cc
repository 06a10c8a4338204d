#include "wire/metadata.h"

#include <algorithm>
#include <array>
#include <limits>

namespace npuserve::wire {

namespace {

constexpr size_t kMaxTimeoutDigits = 8;
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNoSextet = 0xff;
constexpr std::string_view kEllipsis = "%E2%80%A6";  // U+2026

constexpr std::array<uint8_t, 256> kSextets = [] {
  std::array<uint8_t, 256> sextets{};
  sextets.fill(kNoSextet);
  for (size_t i = 0; i < kBase64.size(); ++i) sextets[static_cast<uint8_t>(kBase64[i])] = static_cast<uint8_t>(i);
  return sextets;
}();

// 0 if it is none of gRPC's.
int64_t unit_ns(char unit) {
  constexpr int64_t kMicrosecondNs = 1000;
  constexpr int64_t kSecondNs = 1'000'000 * kMicrosecondNs;
  switch (unit) {
    case 'H':
      return 3600 * kSecondNs;
    case 'M':
      return 60 * kSecondNs;
    case 'S':
      return kSecondNs;
    case 'm':
      return 1000 * kMicrosecondNs;
    case 'u':
      return kMicrosecondNs;
    case 'n':
      return 1;
    default:
      return 0;
  }
}

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

void append_encoded(std::string& out, char c) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  if (is_printable(c) && c != '%') {
    out += c;
    return;
  }
  const auto byte = static_cast<uint8_t>(c);
  out += {'%', kHex[byte >> 4U], kHex[byte & 0xfU]};
}

// Whether a character of UTF-8 may end before this byte.
bool starts_character(char c) { return (static_cast<uint8_t>(c) & 0xc0U) != 0x80U; }

}  // namespace

std::optional<int64_t> parse_timeout_ns(std::string_view text) {
  if (text.size() < 2 || text.size() > kMaxTimeoutDigits + 1) return std::nullopt;
  const int64_t unit = unit_ns(text.back());
  if (unit == 0) return std::nullopt;
  int64_t count = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    count = count * 10 + (c - '0');
  }
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  return count > kLargest / unit ? kLargest : count * unit;
}

std::string percent_encode(std::string_view text, size_t max_bytes) {
  std::string out;
  size_t cut = 0;  // the last end of a character behind which an ellipsis has room
  for (const char c : text) {
    if (starts_character(c) && out.size() + kEllipsis.size() <= max_bytes) cut = out.size();
    append_encoded(out, c);
    if (out.size() > max_bytes) {
      out.resize(cut);
      if (max_bytes >= kEllipsis.size()) out += kEllipsis;
      return out;
    }
  }
  return out;
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view group = bytes.substr(at, 3);
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i) bits = bits << 8U | (i < group.size() ? static_cast<uint8_t>(group[i]) : 0U);
    for (size_t i = 0; i < 4; ++i) text += i <= group.size() ? kBase64[bits >> (18U - 6U * i) & 0x3fU] : '=';
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  unsigned pending = 0;  // bits that are not yet a byte
  for (const char c : text) {
    const uint8_t sextet = kSextets[static_cast<uint8_t>(c)];
    if (sextet == kNoSextet) return std::nullopt;
    bits = bits << 6U | sextet;
    pending += 6;
    if (pending < 8) continue;
    pending -= 8;
    bytes += static_cast<char>(bits >> pending);
    bits &= (1U << pending) - 1;
  }
  if (bits != 0) return std::nullopt;
  return bytes;
}

bool is_binary_key(std::string_view key) { return key.ends_with("-bin"); }

bool is_valid_key(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

bool is_valid_value(std::string_view value) { return std::all_of(value.begin(), value.end(), is_printable); }

bool is_grpc_content_type(std::string_view value) {
  constexpr std::string_view kGrpc = "application/grpc";
  if (!value.starts_with(kGrpc)) return false;
  value.remove_prefix(kGrpc.size());
  return value.empty() || value.front() == '+' || value.front() == ';';
}

}  // namespace npuserve::wire
