#include "wire/compression.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

namespace npuserve::wire {

namespace {

constexpr size_t kSmallestGuessBytes = 256;
// What a tensor of floats or text compresses to at best, usually; a wrong guess costs copies.
constexpr size_t kGuessedRatio = 4;
constexpr int kMemoryLevel = 8;  // zlib's default

int window_bits(Encoding encoding) {
  constexpr int kGzipFlag = 16;  // inflateInit2: "add 16 to decode only the gzip format"
  return MAX_WBITS + (encoding == Encoding::kGzip ? kGzipFlag : 0);
}

// zlib counts in 32 bits what is given to it at once.
uInt piece(size_t bytes) { return static_cast<uInt>(std::min<size_t>(bytes, std::numeric_limits<uInt>::max())); }

// The input of a z_stream, handed to it in pieces. zlib reads through a pointer that is not const.
class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : rest_(bytes) {}

  void feed(z_stream& z) {
    if (z.avail_in > 0 || rest_.empty()) return;
    z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest_.data()));
    z.avail_in = piece(rest_.size());
    rest_ = rest_.subspan(z.avail_in);
  }

  bool all_fed() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

// One stream of compressed bytes. A z_stream must stay where it was initialized.
class Inflater {
 public:
  Inflater(Encoding encoding, std::span<const std::byte> message) : input_(message) {
    if (inflateInit2(&z_, window_bits(encoding)) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&z_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  enum class Step { kMore, kEnded, kCorrupt };

  // Writes up to `room` bytes and counts them. kMore: the room is used up.
  Step step(std::byte* to, size_t room, size_t& written) {
    written = 0;
    while (written < room) {
      input_.feed(z_);
      z_.next_out = reinterpret_cast<Bytef*>(to + written);
      z_.avail_out = piece(room - written);
      const uInt before = z_.avail_out;
      const int result = inflate(&z_, Z_NO_FLUSH);
      written += before - z_.avail_out;
      if (result == Z_STREAM_END) return z_.avail_in == 0 && input_.all_fed() ? Step::kEnded : Step::kCorrupt;
      if (result == Z_MEM_ERROR) throw std::bad_alloc();
      // Z_BUF_ERROR: no progress, though there is room: the bytes end before the stream does.
      if (result != Z_OK) return Step::kCorrupt;
    }
    return Step::kMore;
  }

 private:
  z_stream z_{};
  Input input_;
};

class Deflater {
 public:
  Deflater(Encoding encoding, int level) {
    if (deflateInit2(&z_, level, Z_DEFLATED, window_bits(encoding), kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~Deflater() { deflateEnd(&z_); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  size_t bound(size_t bytes) { return deflateBound(&z_, static_cast<uLong>(bytes)); }

  // Writes the whole stream and returns its length. REQUIRES: room >= bound(message.size()).
  size_t run(std::span<const std::byte> message, std::byte* to, size_t room) {
    Input input(message);
    size_t written = 0;
    int result = Z_OK;
    while (result != Z_STREAM_END) {
      input.feed(z_);
      z_.next_out = reinterpret_cast<Bytef*>(to + written);
      z_.avail_out = piece(room - written);
      const uInt before = z_.avail_out;
      result = deflate(&z_, input.all_fed() ? Z_FINISH : Z_NO_FLUSH);
      written += before - z_.avail_out;
    }
    return written;
  }

 private:
  z_stream z_{};
};

// A larger buffer with the same content.
Buffer grown(const Buffer& from, size_t capacity) {
  Buffer to(capacity);
  to.resize(from.size());
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
  return to;
}

}  // namespace

std::string_view encoding_name(Encoding encoding) {
  switch (encoding) {
    case Encoding::kIdentity:
      return "identity";
    case Encoding::kGzip:
      return "gzip";
    case Encoding::kDeflate:
      return "deflate";
  }
  return "";
}

std::optional<Encoding> encoding_from_name(std::string_view name) {
  for (const Encoding encoding : {Encoding::kIdentity, Encoding::kGzip, Encoding::kDeflate}) {
    if (name == encoding_name(encoding)) return encoding;
  }
  return std::nullopt;
}

InflateResult decompress(Encoding encoding, std::span<const std::byte> message, size_t limit_bytes, Buffer& out) {
  out = Buffer();
  if (message.empty()) return InflateResult::kOk;
  Inflater inflater(encoding, message);
  const size_t guess = std::max(kSmallestGuessBytes, message.size() * kGuessedRatio);
  Buffer inflated(std::min(guess, limit_bytes));
  for (;;) {
    const bool full = inflated.size() == inflated.capacity();
    // Whether the limit is passed is seen by a byte more, which has its place outside.
    std::byte beyond{};
    std::byte* to = full ? &beyond : inflated.data() + inflated.size();
    size_t written = 0;
    const auto step = inflater.step(to, full ? 1 : inflated.capacity() - inflated.size(), written);
    if (step == Inflater::Step::kCorrupt) return InflateResult::kCorrupt;
    if (full && written > 0) {
      if (inflated.size() == limit_bytes) return InflateResult::kTooLarge;
      inflated = grown(inflated, std::min(inflated.capacity() * 2, limit_bytes));
      inflated.data()[inflated.size()] = beyond;
    }
    inflated.resize(inflated.size() + written);
    if (step == Inflater::Step::kEnded) break;
  }
  out = std::move(inflated);
  return InflateResult::kOk;
}

Buffer compress(Encoding encoding, std::span<const std::byte> message, int level, size_t prefix_bytes) {
  Deflater deflater(encoding, level);
  const size_t room = deflater.bound(message.size());
  Buffer out(prefix_bytes + room);
  const size_t written = deflater.run(message, out.data() + prefix_bytes, room);
  out.resize(prefix_bytes + written);
  return out;
}

}  // namespace npuserve::wire
