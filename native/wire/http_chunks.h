// Reads a chunked body (RFC 9112 section 7.1) out of bytes as they come. Chunk extensions and trailers are dropped.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "wire/http_head.h"
#include "wire/http_limits.h"

namespace npuserve::wire {

class HttpChunks {
 public:
  // A size, its extensions and the line's end.
  static constexpr size_t kMaxSizeLineBytes = 1024;

  enum class Stop {
    kNoBytes,  // all was read
    kContent,  // content() is next
    kEnd,      // the body is over
    kRefused,  // refusal() says why
  };

  // Ready for the next body.
  void reset();

  // Reads from the front of `bytes` and removes what it read.
  Stop read(std::span<const std::byte>& bytes, const HttpLimits& limits);

  // A piece of the body, within the bytes that were given. REQUIRES: behind kContent.
  std::span<const std::byte> content() const { return content_; }

  const HttpRefusal& refusal() const { return refusal_; }

 private:
  enum class Stage { kSize, kContent, kContentEnd, kTrailers };

  // Whether line_ is whole.
  std::optional<Stop> read_line(std::span<const std::byte>& bytes, size_t limit, int status);
  std::optional<Stop> end_of_line(const HttpLimits& limits);
  std::optional<Stop> begin_chunk(const HttpLimits& limits);
  std::optional<Stop> read_trailer();
  Stop refuse(int status, std::string message);

  Stage stage_ = Stage::kSize;
  std::string line_;
  size_t left_ = 0;  // of the chunk
  size_t chunks_ = 0;
  size_t trailer_bytes_ = 0;
  std::span<const std::byte> content_;
  HttpRefusal refusal_;
};

}  // namespace npuserve::wire
