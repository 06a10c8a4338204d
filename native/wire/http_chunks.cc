#include "wire/http_chunks.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

namespace npuserve::wire {
namespace {

// The size that a chunk's first line states, 1*HEXDIG; nullopt if it states none.
std::optional<size_t> chunk_size(std::string_view line) {
  size_t size = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  if (error != std::errc()) return std::nullopt;
  std::string_view rest = line.substr(static_cast<size_t>(end - line.data()));
  if (rest.empty()) return size;
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
  if (rest.empty() || rest.front() != ';' || !is_field_value(rest)) return std::nullopt;
  return size;
}

}  // namespace

void HttpChunks::reset() {
  stage_ = Stage::kSize;
  line_.clear();
  left_ = chunks_ = trailer_bytes_ = 0;
}

HttpChunks::Stop HttpChunks::read(std::span<const std::byte>& bytes, const HttpLimits& limits) {
  while (!bytes.empty()) {
    if (stage_ == Stage::kContent) {
      content_ = bytes.first(std::min(left_, bytes.size()));
      bytes = bytes.subspan(content_.size());
      left_ -= content_.size();
      if (left_ == 0) stage_ = Stage::kContentEnd;
      return Stop::kContent;
    }
    const bool in_trailers = stage_ == Stage::kTrailers;
    const size_t limit = in_trailers ? limits.max_head_bytes - trailer_bytes_ : kMaxSizeLineBytes;
    const std::optional<Stop> stop = read_line(bytes, limit, in_trailers ? 431 : 400);
    if (stop == Stop::kNoBytes) break;
    if (stop) return *stop;
    if (const std::optional<Stop> end = end_of_line(limits)) return *end;
  }
  return Stop::kNoBytes;
}

// nullopt: the line is whole, its end removed.
std::optional<HttpChunks::Stop> HttpChunks::read_line(std::span<const std::byte>& bytes, size_t limit, int status) {
  const auto* const found = static_cast<const std::byte*>(std::memchr(bytes.data(), '\n', bytes.size()));
  const size_t size = found == nullptr ? bytes.size() : static_cast<size_t>(found - bytes.data()) + 1;
  if (line_.size() + size > limit) {
    return refuse(status, status == 431 ? "the trailers are too large" : "a chunk's size line is too long");
  }
  line_.append(reinterpret_cast<const char*>(bytes.data()), size);
  bytes = bytes.subspan(size);
  if (found == nullptr) return Stop::kNoBytes;
  if (!line_.ends_with("\r\n")) return refuse(400, "a line of a chunked body ends without a carriage return");
  line_.resize(line_.size() - 2);
  return std::nullopt;
}

std::optional<HttpChunks::Stop> HttpChunks::end_of_line(const HttpLimits& limits) {
  switch (stage_) {
    case Stage::kSize:
      return begin_chunk(limits);
    case Stage::kContentEnd:
      if (!line_.empty()) return refuse(400, "a chunk is longer than its size");
      stage_ = Stage::kSize;
      return std::nullopt;
    case Stage::kTrailers:
      return read_trailer();
    case Stage::kContent:
      break;
  }
  return std::nullopt;
}

std::optional<HttpChunks::Stop> HttpChunks::begin_chunk(const HttpLimits& limits) {
  const std::optional<size_t> size = chunk_size(line_);
  if (!size) return refuse(400, "malformed chunk size");
  line_.clear();
  if (*size == 0) {
    stage_ = Stage::kTrailers;
    return std::nullopt;
  }
  if (++chunks_ > limits.max_chunks) {
    return refuse(400, "Chunked request body exceeds maximum of " + std::to_string(limits.max_chunks) +
                           " non-empty chunks. Send fewer or larger HTTP chunks.");
  }
  left_ = *size;
  stage_ = Stage::kContent;
  return std::nullopt;
}

std::optional<HttpChunks::Stop> HttpChunks::read_trailer() {
  if (line_.empty()) return Stop::kEnd;
  trailer_bytes_ += line_.size() + 2;
  HttpField field;
  if (!parse_field(line_.data(), line_.size(), field)) return refuse(400, "malformed trailer");
  line_.clear();
  return std::nullopt;
}

HttpChunks::Stop HttpChunks::refuse(int status, std::string message) {
  refusal_ = {status, std::move(message)};
  return Stop::kRefused;
}

}  // namespace npuserve::wire
