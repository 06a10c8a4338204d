#include "wire/http_infer_request.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/protobuf_reader.h"

namespace npuserve::wire {
namespace {

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// /v2/models/M/infer or /v2/models/M/versions/V/infer.
bool read_path(std::string_view path, InferRequest& request) {
  constexpr std::string_view kBegin = "/v2/models/";
  constexpr std::string_view kEnd = "/infer";
  constexpr std::string_view kVersions = "/versions/";
  if (!path.starts_with(kBegin) || !path.ends_with(kEnd) || path.size() < kBegin.size() + kEnd.size()) return false;
  path = path.substr(kBegin.size(), path.size() - kBegin.size() - kEnd.size());
  if (path.find('%') != path.npos) return false;
  const size_t slash = path.find('/');
  request.model_name = path.substr(0, slash);
  if (slash == path.npos) return true;
  path.remove_prefix(slash);
  if (!path.starts_with(kVersions)) return false;
  request.model_version = path.substr(kVersions.size());
  return is_digits(request.model_version);
}

// Whether the answer need not be compressed, and the body was not.
bool is_plain(const HttpHead& head) {
  return std::ranges::none_of(head.fields, [](const HttpField& field) {
    return field.name == "content-encoding" ||
           (field.name == "accept-encoding" && !field.value.empty() && field.value != "identity");
  });
}

// Reads JSON as clients' libraries write it: no escapes in strings, no number but small whole ones, no key twice.
// Every function returns false for anything else, and then nothing that was read is of use.
class InferJson {
 public:
  // binary_bytes: of each input, in order.
  InferJson(std::string_view text, InferRequest& request, std::vector<size_t>& binary_bytes)
      : text_(text), request_(request), binary_bytes_(binary_bytes) {}

  bool read() {
    bool binary_by_default = false;
    bool has_outputs = false;
    uint32_t seen = 0;
    const bool is_read = read_object([&](std::string_view key) {
      if (key == "id") return note(seen, 0) && read_text(request_.id);
      if (key == "inputs") return note(seen, 1) && read_array([this] { return read_input(); });
      if (key == "outputs") {
        has_outputs = true;
        return note(seen, 2) && read_array([this] { return read_output(); });
      }
      return key == "parameters" && note(seen, 3) && read_only_bool("binary_data_output", binary_by_default);
    });
    skip_blanks();
    if (!is_read || at_ != text_.size() || request_.inputs.empty()) return false;
    return has_outputs ? !request_.outputs.empty() : binary_by_default;
  }

 private:
  // False if the key of this number was there before.
  static bool note(uint32_t& seen, uint32_t number) {
    const uint32_t bit = 1U << number;
    const bool is_new = (seen & bit) == 0;
    seen |= bit;
    return is_new;
  }

  bool read_input() {
    InferInput input = take_spare_input(request_);
    size_t bytes = 0;
    uint32_t seen = 0;
    const bool is_read = read_object([&](std::string_view key) {
      if (key == "name") return note(seen, 0) && read_text(input.name);
      if (key == "datatype") return note(seen, 1) && read_text(input.datatype);
      if (key == "shape") return note(seen, 2) && read_shape(input.shape);
      return key == "parameters" && note(seen, 3) && read_binary_bytes(bytes);
    });
    constexpr uint32_t kAll = 0b1111;
    if (!is_read || seen != kAll || request_.inputs.size() == kMostParts) return false;
    request_.inputs.push_back(std::move(input));
    binary_bytes_.push_back(bytes);
    return true;
  }

  bool read_shape(std::vector<int64_t>& shape) {
    return read_array([&] {
      size_t size = 0;
      if (!read_number(size) || shape.size() == kMostParts) return false;
      shape.push_back(static_cast<int64_t>(size));
      return true;
    });
  }

  bool read_binary_bytes(size_t& bytes) {
    uint32_t seen = 0;
    return read_object([&](std::string_view key) {
             return key == "binary_data_size" && note(seen, 0) && read_number(bytes);
           }) &&
           seen == 1;
  }

  bool read_output() {
    InferOutput output;
    bool is_binary = false;
    uint32_t seen = 0;
    const bool is_read = read_object([&](std::string_view key) {
      if (key == "name") return note(seen, 0) && read_text(output.name);
      return key == "parameters" && note(seen, 1) && read_only_bool("binary_data", is_binary);
    });
    constexpr uint32_t kAll = 0b11;
    if (!is_read || seen != kAll || !is_binary || request_.outputs.size() == kMostParts) return false;
    request_.outputs.push_back(std::move(output));
    return true;
  }

  // An object of this one key, or none.
  bool read_only_bool(std::string_view only_key, bool& value) {
    uint32_t seen = 0;
    return read_object([&](std::string_view key) { return key == only_key && note(seen, 0) && read_bool(value); });
  }

  // Calls `use` for each key; it reads the value.
  template <typename Use>
  bool read_object(const Use& use) {
    return read_list('{', '}', [&] {
      std::string_view key;
      return read_text(key) && take(':') && use(key);
    });
  }

  template <typename Use>
  bool read_array(const Use& use) {
    return read_list('[', ']', use);
  }

  template <typename Use>
  bool read_list(char open, char close, const Use& use) {
    if (!take(open)) return false;
    if (take(close)) return true;
    do {
      if (!use()) return false;
    } while (take(','));
    return take(close);
  }

  bool read_text(std::string_view& text) {
    if (!take('"')) return false;
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"') {
      const auto byte = static_cast<uint8_t>(text_[at_++]);
      if (byte < 0x20 || byte == '\\') return false;
    }
    if (at_ == text_.size()) return false;
    text = text_.substr(begin, at_++ - begin);
    return is_utf8(text);
  }

  // Of at most eighteen digits, which 63 bits hold, without leading zeros, sign, fraction or exponent.
  bool read_number(size_t& number) {
    skip_blanks();
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    const std::string_view digits = text_.substr(begin, at_ - begin);
    if (digits.empty() || digits.size() > 18 || (digits.size() > 1 && digits.front() == '0')) return false;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    // What goes on behind it is no list's or object's next character, so the caller stops there.
    return true;
  }

  bool read_bool(bool& value) {
    skip_blanks();
    value = text_.substr(at_).starts_with("true");
    if (!value && !text_.substr(at_).starts_with("false")) return false;
    at_ += value ? 4 : 5;
    return true;
  }

  bool take(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }

  std::string_view text_;
  size_t at_ = 0;
  InferRequest& request_;
  std::vector<size_t>& binary_bytes_;
};

// The blobs behind the JSON, one for each input; nothing may be left over.
bool take_blobs(std::span<const std::byte> blobs, const std::vector<size_t>& binary_bytes, InferRequest& request) {
  for (const size_t bytes : binary_bytes) {
    if (bytes > blobs.size()) return false;
    request.raw_input_contents.push_back(blobs.first(bytes));
    blobs = blobs.subspan(bytes);
  }
  return blobs.empty();
}

}  // namespace

bool read_infer(const HttpHead& head, std::span<const std::byte> body, InferRequest& request) {
  clear(request);
  if (head.method != "POST" || !is_plain(head) || !read_path(head.path, request)) return false;
  const std::string_view length = head.find("inference-header-content-length").value_or("");
  size_t json_bytes = 0;
  if (!is_digits(length) || length.size() > 18) return false;
  std::from_chars(length.data(), length.data() + length.size(), json_bytes);
  if (json_bytes == 0 || json_bytes > body.size()) return false;
  const std::string_view json(reinterpret_cast<const char*>(body.data()), json_bytes);
  std::vector<size_t> binary_bytes;
  return InferJson(json, request, binary_bytes).read() && take_blobs(body.subspan(json_bytes), binary_bytes, request);
}

}  // namespace npuserve::wire
