#include "emulator/atc/json.h"

#include <charconv>

namespace emulator::atc {
namespace {

constexpr int kMaxDepth = 32;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json document() {
    Json value = this->value(0);
    skip_blanks();
    if (at_ != text_.size()) unexpected("the end of the text");
    return value;
  }

 private:
  [[noreturn]] void unexpected(const std::string& wanted) const {
    throw JsonError("expected " + wanted + " at offset " + std::to_string(at_));
  }

  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  bool take(char letter) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != letter) return false;
    ++at_;
    return true;
  }

  void expect(char letter) {
    if (!take(letter)) unexpected(std::string("'") + letter + "'");
  }

  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Json value(int depth) {
    if (depth > kMaxDepth) unexpected("less nesting");
    skip_blanks();
    if (at_ >= text_.size()) unexpected("a value");
    Json result;
    switch (text_[at_]) {
      case '{':
        return object(depth);
      case '[':
        return list(depth);
      case '"':
        result.kind = Json::Kind::text;
        result.text = string();
        return result;
      default:
        return scalar();
    }
  }

  Json scalar() {
    Json result;
    if (take_word("null")) return result;
    if (take_word("true") || take_word("false")) {
      result.kind = Json::Kind::boolean;
      result.boolean = text_[at_ - 2] == 'u';  // tr[u]e, fal[s]e
      return result;
    }
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), result.number);
    if (error != std::errc()) unexpected("a value");
    at_ = static_cast<size_t>(end - text_.data());
    result.kind = Json::Kind::number;
    return result;
  }

  Json object(int depth) {
    Json result;
    result.kind = Json::Kind::object;
    expect('{');
    if (take('}')) return result;
    do {
      skip_blanks();
      const std::string key = string();
      expect(':');
      result.object[key] = value(depth + 1);
    } while (take(','));
    expect('}');
    return result;
  }

  Json list(int depth) {
    Json result;
    result.kind = Json::Kind::list;
    expect('[');
    if (take(']')) return result;
    do {
      result.list.push_back(value(depth + 1));
    } while (take(','));
    expect(']');
    return result;
  }

  // Operator and pass names are plain; of the escapes only those of the quote, the backslash and the slash are read.
  std::string string() {
    expect('"');
    std::string result;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\') {
        ++at_;
        if (at_ >= text_.size() || std::string_view("\"\\/").find(text_[at_]) == std::string_view::npos) {
          unexpected("one of \" \\ / after a backslash");
        }
      }
      result += text_[at_++];
    }
    expect('"');
    return result;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Json parse_json(std::string_view text) { return Parser(text).document(); }

}  // namespace emulator::atc
