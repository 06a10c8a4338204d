#include "load/http_channel.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

namespace npuserve::load {
namespace {

constexpr size_t kMaxHeadBytes = size_t{64} * 1024;  // a server's head has a few hundred
constexpr size_t kMaxMessageBytes = 512;             // of an error's body, as its message
constexpr int kOk = 200;

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right,
                            [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

void HttpChannel::begin(uint32_t ticket, std::string_view request) {
  ticket_ = ticket;
  is_waiting_ = true;
  unsent_ = request;
  input_.clear();
  body_begins_ = body_bytes_ = 0;
}

bool HttpChannel::send(std::string& out, size_t until_bytes) {
  if (out.size() >= until_bytes) return true;
  const size_t bytes = std::min(until_bytes - out.size(), unsent_.size());
  out.append(unsent_.substr(0, bytes));
  unsent_.remove_prefix(bytes);
  return true;
}

bool HttpChannel::receive(std::string_view bytes) {
  if (!is_waiting_) return fail("the server sent bytes that nobody asked for");
  input_.append(bytes);
  if (body_begins_ == 0) {
    const size_t end = input_.find("\r\n\r\n");
    if (end == std::string::npos) {
      return input_.size() <= kMaxHeadBytes || fail("the head of an answer does not end");
    }
    body_begins_ = end + 4;
    if (!read_head(std::string_view(input_).substr(0, end))) return false;
  }
  if (input_.size() < body_begins_ + body_bytes_) return true;
  if (input_.size() > body_begins_ + body_bytes_) return fail("an answer is longer than its Content-Length");
  answer();
  return true;
}

bool HttpChannel::read_head(std::string_view head) {
  const size_t line_end = head.find("\r\n");
  const std::string_view first = head.substr(0, line_end);
  if (!first.starts_with("HTTP/1.") || first.size() < 12 || !read_number(first.substr(9, 3), status_)) {
    return fail("the answer is not HTTP/1.1");
  }
  std::string_view rest = line_end == std::string_view::npos ? std::string_view{} : head.substr(line_end + 2);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find("\r\n"), rest.size());
    if (!read_field(rest.substr(0, end))) return false;
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  return true;
}

bool HttpChannel::read_field(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return fail("the answer is not HTTP/1.1");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (equal_ignoring_case(name, "content-length")) {
    return read_number(value, body_bytes_) || fail("an answer's Content-Length is not a number");
  }
  if (equal_ignoring_case(name, "transfer-encoding")) return fail("an answer without Content-Length cannot be read");
  if (equal_ignoring_case(name, "connection") && equal_ignoring_case(value, "close")) is_closing_ = true;
  return true;
}

bool HttpChannel::fail(std::string why) {
  failure_ = std::move(why);
  is_closing_ = true;
  return false;
}

void HttpChannel::answer() {
  const std::string_view body = std::string_view(input_).substr(body_begins_);
  is_waiting_ = false;
  if (status_ == kOk) {
    sink_.on_answer(ticket_, {}, body);
  } else {
    sink_.on_answer(ticket_, {.code = status_, .message = body.substr(0, kMaxMessageBytes)}, {});
  }
}

}  // namespace npuserve::load
