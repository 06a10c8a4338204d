#include "wire/http_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace npuserve::wire {
namespace {

using Table = std::array<bool, 256>;

constexpr Table make_token_table() {
  Table table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<uint8_t>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<uint8_t>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<uint8_t>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<uint8_t>(c)] = true;
  return table;
}

constexpr Table kToken = make_token_table();

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_value_character(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return (byte >= 0x20 && byte != 0x7f) || c == '\t';
}

bool is_target_character(char c) { return static_cast<uint8_t>(c) > 0x20 && static_cast<uint8_t>(c) < 0x7f; }

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

HttpRefusal bad(std::string message) { return {400, std::move(message)}; }

// Calls `use` with each part of a comma-separated list.
template <typename Use>
void for_each_listed(std::string_view list, const Use& use) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    use(trimmed(list.substr(0, comma)));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

// Reads a head line by line.
class HeadReader {
 public:
  HeadReader(std::string& text, const HttpLimits& limits, HttpHead& head) : text_(text), limits_(limits), head_(head) {}

  std::optional<HttpRefusal> read() {
    head_.fields.clear();
    head_.is_http_1_0 = head_.expects_continue = head_.is_chunked = false;
    head_.keeps_alive = true;
    head_.content_length.reset();
    // Some clients end the body before with one line too many (RFC 9112 section 2.2).
    at_ = text_.starts_with("\r\n") ? 2 : 0;
    if (std::optional<HttpRefusal> refusal = read_request_line()) return refusal;
    while (at_ + 2 < text_.size()) {
      if (std::optional<HttpRefusal> refusal = read_field()) return refusal;
    }
    return check_fields();
  }

 private:
  // The next line without its end. The text ends with one, so there is one.
  std::string_view next_line() {
    const size_t end = text_.find("\r\n", at_);
    const std::string_view line = std::string_view(text_).substr(at_, end - at_);
    at_ = end + 2;
    return line;
  }

  std::optional<HttpRefusal> read_request_line() {
    const std::string_view line = next_line();
    if (line.size() > limits_.max_request_line_bytes) return HttpRefusal{414, "the request line is too long"};
    const size_t first = line.find(' ');
    const size_t second = first == line.npos ? line.npos : line.find(' ', first + 1);
    if (second == line.npos) return bad("malformed request line");
    head_.method = line.substr(0, first);
    if (!is_token(head_.method)) return bad("malformed request method");
    if (std::optional<HttpRefusal> refusal = read_version(line.substr(second + 1))) return refusal;
    return read_target(line.substr(first + 1, second - first - 1));
  }

  std::optional<HttpRefusal> read_version(std::string_view version) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' ||
        !is_digit(version[7])) {
      return bad("malformed HTTP version");
    }
    if (version[5] != '1') return HttpRefusal{505, "only HTTP/1.1 and HTTP/1.0 are supported"};
    head_.is_http_1_0 = version[7] == '0';
    head_.keeps_alive = !head_.is_http_1_0;
    return std::nullopt;
  }

  std::optional<HttpRefusal> read_target(std::string_view target) {
    if (target.empty() || !std::ranges::all_of(target, is_target_character)) return bad("malformed request target");
    if (equals_ignoring_case(target.substr(0, 7), "http://")) {
      target.remove_prefix(7);
      const size_t slash = target.find_first_of("/?");
      target = slash == target.npos ? "/" : target.substr(slash);
    }
    head_.path = target.substr(0, target.find('?'));
    return std::nullopt;
  }

  std::optional<HttpRefusal> read_field() {
    char* const line = text_.data() + at_;
    const size_t size = next_line().size();
    HttpField field;
    if (!parse_field(line, size, field)) return bad("malformed header line");
    if (head_.fields.size() == limits_.max_header_fields) return HttpRefusal{431, "too many header fields"};
    head_.fields.push_back(field);
    return note(field);
  }

  // Takes in what the framing and the connection depend on.
  std::optional<HttpRefusal> note(const HttpField& field) {
    if (field.name == "content-length") return note_content_length(field.value);
    if (field.name == "transfer-encoding") return note_transfer_encoding(field.value);
    if (field.name == "connection") {
      for_each_listed(field.value, [this](std::string_view option) { note_connection(option); });
    } else if (field.name == "expect" && !head_.is_http_1_0) {
      if (!equals_ignoring_case(field.value, "100-continue")) return HttpRefusal{417, "unknown expectation"};
      head_.expects_continue = true;
    } else if (field.name == "host") {
      ++hosts_;
    }
    return std::nullopt;
  }

  std::optional<HttpRefusal> note_content_length(std::string_view value) {
    if (head_.content_length) return bad("more than one Content-Length");
    size_t length = 0;
    // from_chars takes no sign for an unsigned type, and stops at what is no digit.
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (error != std::errc() || end != value.data() + value.size()) return bad("malformed Content-Length");
    head_.content_length = length;
    return std::nullopt;
  }

  std::optional<HttpRefusal> note_transfer_encoding(std::string_view value) {
    if (head_.is_chunked) return bad("more than one Transfer-Encoding");
    if (head_.is_http_1_0) return bad("Transfer-Encoding in HTTP/1.0");
    if (!equals_ignoring_case(value, "chunked")) return HttpRefusal{501, "only the transfer coding chunked is known"};
    head_.is_chunked = true;
    return std::nullopt;
  }

  void note_connection(std::string_view option) {
    if (equals_ignoring_case(option, "close")) closes_ = true;
    if (equals_ignoring_case(option, "keep-alive")) head_.keeps_alive = true;
  }

  std::optional<HttpRefusal> check_fields() {
    if (closes_) head_.keeps_alive = false;
    if (head_.is_chunked && head_.content_length) return bad("both Content-Length and Transfer-Encoding");
    if (hosts_ > 1) return bad("more than one Host");
    if (hosts_ == 0 && !head_.is_http_1_0) return bad("HTTP/1.1 without Host");
    return std::nullopt;
  }

  std::string& text_;
  const HttpLimits& limits_;
  HttpHead& head_;
  size_t at_ = 0;
  size_t hosts_ = 0;
  bool closes_ = false;
};

}  // namespace

std::optional<std::string_view> HttpHead::find(std::string_view name) const {
  std::optional<std::string_view> found;
  for (const HttpField& field : fields) {
    if (field.name != name) continue;
    if (found) return std::nullopt;
    found = field.value;
  }
  return found;
}

std::optional<HttpRefusal> parse_head(std::string& text, const HttpLimits& limits, HttpHead& head) {
  return HeadReader(text, limits, head).read();
}

std::optional<HttpRefusal> check_begun_head(std::string_view text, size_t checked, const HttpLimits& limits) {
  // What speaks another protocol, TLS above all, is told at once and not after the timeout.
  if (checked == 0 && text[0] != '\r' && !kToken[static_cast<uint8_t>(text[0])]) return bad("this is no HTTP request");
  for (size_t i = checked; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) return bad("a line ends without a carriage return");
    if (i > 0 && text[i - 1] == '\r' && text[i] != '\n') return bad("a carriage return within a line");
  }
  const size_t start = text.starts_with("\r\n") ? 2 : 0;
  const size_t line_end = text.find("\r\n", start);
  // With the first half of its end a line may be one byte longer.
  const size_t most = limits.max_request_line_bytes + (line_end == text.npos ? 1 : 0);
  if (std::min(line_end, text.size()) - start > most) return HttpRefusal{414, "the request line is too long"};
  if (text.size() > limits.max_head_bytes) return HttpRefusal{431, "the request head is too large"};
  return std::nullopt;
}

bool parse_field(char* line, size_t size, HttpField& field) {
  const std::string_view text(line, size);
  const size_t colon = text.find(':');
  if (colon == text.npos) return false;
  for (char& c : std::span(line, colon)) c = lower(c);
  field.name = text.substr(0, colon);
  field.value = trimmed(text.substr(colon + 1));
  // A line that goes on from the one before (obs-fold) begins with a blank, which is no name's.
  return is_token(field.name) && is_field_value(field.value);
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return kToken[static_cast<uint8_t>(c)]; });
}

bool is_field_value(std::string_view text) { return std::ranges::all_of(text, is_value_character); }

bool equals_ignoring_case(std::string_view text, std::string_view lower_text) {
  return std::ranges::equal(text, lower_text, [](char one, char other) { return lower(one) == other; });
}

}  // namespace npuserve::wire
