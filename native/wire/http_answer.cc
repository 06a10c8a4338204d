#include "wire/http_answer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "wire/http_head.h"

namespace npuserve::wire {
namespace {

struct Phrase {
  int status;
  std::string_view text;
};

constexpr std::array<Phrase, 20> kPhrases{{{200, "OK"},
                                           {201, "Created"},
                                           {204, "No Content"},
                                           {304, "Not Modified"},
                                           {400, "Bad Request"},
                                           {403, "Forbidden"},
                                           {404, "Not Found"},
                                           {405, "Method Not Allowed"},
                                           {408, "Request Timeout"},
                                           {413, "Content Too Large"},
                                           {414, "URI Too Long"},
                                           {415, "Unsupported Media Type"},
                                           {417, "Expectation Failed"},
                                           {429, "Too Many Requests"},
                                           {431, "Request Header Fields Too Large"},
                                           {499, "Client Closed Request"},
                                           {500, "Internal Server Error"},
                                           {501, "Not Implemented"},
                                           {503, "Service Unavailable"},
                                           {505, "HTTP Version Not Supported"}}};

std::string_view phrase(int status) {
  const auto* const found = std::ranges::find(kPhrases, status, &Phrase::status);
  return found == kPhrases.end() ? std::string_view("Unknown") : found->text;
}

void append_number(std::string& out, size_t number) {
  std::array<char, 20> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end);
}

}  // namespace

void append_head(std::string& out, const HttpAnswerHead& head) {
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<size_t>(head.status));
  out.append(" ").append(phrase(head.status)).append("\r\n");
  for (const auto& [name, value] : head.fields) out.append(name).append(": ").append(value).append("\r\n");
  if (head.body_end == BodyEnd::kLength && allows_body(head.status)) {
    out.append("Content-Length: ");
    append_number(out, head.body_bytes);
    out.append("\r\n");
  }
  if (head.body_end == BodyEnd::kChunked) out.append("Transfer-Encoding: chunked\r\n");
  if (head.closes) out.append("Connection: close\r\n");
  if (head.keeps_alive_1_0) out.append("Connection: keep-alive\r\n");
  out.append("\r\n");
}

bool may_be_given(std::string_view name, std::string_view value) {
  static constexpr std::array<std::string_view, 3> kOurs{"content-length", "transfer-encoding", "connection"};
  return is_token(name) && is_field_value(value) &&
         std::ranges::none_of(kOurs, [name](std::string_view ours) { return equals_ignoring_case(name, ours); });
}

bool allows_body(int status) { return status >= 200 && status != 204 && status != 304; }

std::string error_body(std::string_view message) {
  std::string body = "{\"error\":";
  append_json_text(body, message);
  body.append("}");
  return body;
}

int http_status(core::StatusCode code) {
  switch (code) {
    case core::StatusCode::kOk:
      return 200;
    case core::StatusCode::kInternal:
      return 500;
    case core::StatusCode::kNotFound:
      return 404;
    case core::StatusCode::kUnavailable:
      return 503;
    case core::StatusCode::kUnimplemented:
      return 501;
    default:
      return 400;
  }
}

void append_json_text(std::string& out, std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else if (byte < 0x20) {
      out.append("\\u00").append(1, kHex[byte >> 4U]).append(1, kHex[byte & 15U]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

}  // namespace npuserve::wire
