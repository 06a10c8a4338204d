#include "emulator/config.h"

#include <cctype>
#include <charconv>

#include "emulator/errors.h"

namespace emulator {
namespace {

constexpr int kDeepest = 10;

// Reads JSON and keeps its scalars by path. Escapes in strings stay as written: no key or value that counts has one.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::map<std::string, std::string> read() {
    skip_space();
    if (peek() != '{') bad("an object was expected");
    value("", 0);
    if (at_ != text_.size()) bad("nothing was expected after the object");
    return std::move(values_);
  }

 private:
  [[noreturn]] void bad(const char* expected) const {
    refuse(ACL_ERROR_PARSE_FILE, "the configuration is not JSON at byte " + std::to_string(at_) + ": " + expected);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }

  bool accept(char expected) {
    if (peek() != expected) return false;
    ++at_;
    skip_space();
    return true;
  }

  std::string string() {
    if (peek() != '"') bad("a string was expected");
    const std::size_t start = ++at_;
    while (peek() != '"') {
      if (at_ >= text_.size()) bad("the string has no end");
      at_ += peek() == '\\' ? 2 : 1;
    }
    std::string content(text_.substr(start, at_ - start));
    ++at_;
    skip_space();
    return content;
  }

  std::string word() {
    const std::size_t start = at_;
    while (std::isalnum(static_cast<unsigned char>(peek())) != 0 || peek() == '-' || peek() == '+' || peek() == '.')
      ++at_;
    std::string content(text_.substr(start, at_ - start));
    if (content.empty()) bad("a value was expected");
    const bool number = content[0] == '-' || std::isdigit(static_cast<unsigned char>(content[0])) != 0;
    if (!number && content != "true" && content != "false" && content != "null") bad("a value was expected");
    skip_space();
    return content;
  }

  void value(const std::string& path, int depth) {
    if (peek() == '{') {
      object(path, depth + 1);
    } else if (peek() == '[') {
      array(path, depth + 1);
    } else {
      values_[path] = peek() == '"' ? string() : word();
    }
  }

  void object(const std::string& path, int depth) {
    enter(depth);
    if (accept('}')) return;
    do {
      const std::string key = string();
      if (!accept(':')) bad("':' was expected");
      value(path.empty() ? key : path + "." + key, depth);
    } while (accept(','));
    if (!accept('}')) bad("',' or '}' was expected");
  }

  void array(const std::string& path, int depth) {
    enter(depth);
    if (accept(']')) return;
    int index = 0;
    do {
      value(path + "." + std::to_string(index++), depth);
    } while (accept(','));
    if (!accept(']')) bad("',' or ']' was expected");
  }

  void enter(int depth) {
    if (depth > kDeepest) {
      refuse(ACL_ERROR_PARSE_FILE, "the configuration is nested deeper than " + std::to_string(kDeepest));
    }
    ++at_;
    skip_space();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::map<std::string, std::string> values_;
};

}  // namespace

Config parse_config(std::string_view text) {
  Config parsed;
  parsed.values = Reader(text).read();
  if (const auto found = parsed.values.find("defaultDevice.default_device"); found != parsed.values.end()) {
    const std::string& digits = found->second;
    std::int32_t device = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), device);
    if (error != std::errc() || end != digits.data() + digits.size() || device < 0) {
      refuse(ACL_ERROR_INVALID_PARAM, "default_device is '" + digits + "', not a device id");
    }
    parsed.default_device = device;
  }
  if (const auto found = parsed.values.find("err_msg_mode"); found != parsed.values.end()) {
    if (found->second != "0" && found->second != "1") {
      refuse(ACL_ERROR_INVALID_PARAM, "err_msg_mode is '" + found->second + "', not 0 or 1");
    }
    parsed.text_for_process = found->second == "1";
  }
  return parsed;
}

}  // namespace emulator
