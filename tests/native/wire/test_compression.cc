#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/compression.h"

namespace wire = npuserve::wire;
using wire::Encoding;
using wire::InflateResult;

namespace {

constexpr size_t kLimit = 1 << 20;

using Bytes = std::vector<std::byte>;

Bytes bytes(std::initializer_list<uint8_t> values) {
  Bytes all;
  for (const uint8_t value : values) all.push_back(std::byte{value});
  return all;
}

// Made by Python 3.11: gzip.compress(b"npuserve " * 20, 6, mtime=0), zlib.compress of the same,
// zlib.compress(bytes(65536), 9), and both of b"".
const Bytes kGzipText =
    bytes({0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xcb, 0x2b, 0x28, 0x2d, 0x4e, 0x2d,
           0x2a, 0x4b, 0x55, 0xc8, 0x1b, 0x3a, 0x0c, 0x00, 0x0d, 0x59, 0x27, 0xfc, 0xb4, 0x00, 0x00, 0x00});
const Bytes kZlibText = bytes({0x78, 0x9c, 0xcb, 0x2b, 0x28, 0x2d, 0x4e, 0x2d, 0x2a, 0x4b,
                               0x55, 0xc8, 0x1b, 0x3a, 0x0c, 0x00, 0x85, 0xbb, 0x47, 0xe1});
const Bytes kZlibZeros = [] {
  Bytes all = bytes({0x78, 0xda, 0xed, 0xc1, 0x01, 0x01, 0x00, 0x00, 0x00, 0x80, 0x90, 0xfe, 0xaf, 0xee, 0x08, 0x0a});
  all.resize(84 - 5);
  for (const std::byte last : bytes({0x6a, 0x00, 0x0f, 0x00, 0x01})) all.push_back(last);
  return all;
}();
const Bytes kGzipEmpty = bytes({0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
                                0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00});
const Bytes kZlibEmpty = bytes({0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01});

std::string text() {
  std::string all;
  for (int i = 0; i < 20; ++i) all += "npuserve ";
  return all;
}

InflateResult outcome(Encoding encoding, const Bytes& message, size_t limit = kLimit) {
  wire::Buffer out;
  return wire::decompress(encoding, message, limit, out);
}

std::string inflated(Encoding encoding, std::span<const std::byte> message, size_t limit = kLimit) {
  wire::Buffer out;
  REQUIRE(wire::decompress(encoding, message, limit, out) == InflateResult::kOk);
  CHECK(out.capacity() <= limit);
  return {reinterpret_cast<const char*>(out.data()), out.size()};
}

Bytes joined(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace

TEST_CASE("encodings have gRPC's names") {
  for (const Encoding encoding : {Encoding::kIdentity, Encoding::kGzip, Encoding::kDeflate}) {
    CHECK(wire::encoding_from_name(wire::encoding_name(encoding)) == encoding);
  }
  CHECK(wire::encoding_from_name("gzip") == Encoding::kGzip);
  CHECK(wire::encoding_from_name("deflate") == Encoding::kDeflate);
  CHECK(wire::encoding_from_name("identity") == Encoding::kIdentity);
  CHECK_FALSE(wire::encoding_from_name("snappy"));
  CHECK_FALSE(wire::encoding_from_name("GZIP"));
  CHECK_FALSE(wire::encoding_from_name(""));
}

TEST_CASE("what Python compressed is decompressed") {
  CHECK(inflated(Encoding::kGzip, kGzipText) == text());
  CHECK(inflated(Encoding::kDeflate, kZlibText) == text());
  CHECK(inflated(Encoding::kDeflate, kZlibZeros) == std::string(65'536, '\0'));
  CHECK(inflated(Encoding::kGzip, kGzipEmpty).empty());
  CHECK(inflated(Encoding::kDeflate, kZlibEmpty).empty());
}

TEST_CASE("gzip and deflate are not taken for each other") {
  CHECK(outcome(Encoding::kGzip, kZlibText) == InflateResult::kCorrupt);
  CHECK(outcome(Encoding::kDeflate, kGzipText) == InflateResult::kCorrupt);
}

TEST_CASE("no bytes at all are the empty message, as grpc-core reads them") {
  CHECK(inflated(Encoding::kGzip, {}).empty());
  CHECK(inflated(Encoding::kDeflate, {}, 0).empty());
}

TEST_CASE("the limit is a length that is still allowed") {
  const size_t length = text().size();
  CHECK(inflated(Encoding::kGzip, kGzipText, length) == text());
  CHECK(outcome(Encoding::kGzip, kGzipText, length - 1) == InflateResult::kTooLarge);
  CHECK(outcome(Encoding::kDeflate, kZlibZeros, 65'535) == InflateResult::kTooLarge);
  CHECK(inflated(Encoding::kDeflate, kZlibZeros, 65'536).size() == 65'536);
  CHECK(inflated(Encoding::kDeflate, kZlibEmpty, 0).empty());
  CHECK(outcome(Encoding::kDeflate, kZlibText, 0) == InflateResult::kTooLarge);
}

TEST_CASE("a bomb stops at the limit and leaves nothing behind") {
  // 64 MiB of zeros in 64 KiB, near to the most that deflate can do: 1032 to 1.
  const std::vector<std::byte> zeros(size_t{64} << 20);
  const wire::Buffer bomb = wire::compress(Encoding::kGzip, zeros, 9, 0);
  REQUIRE(bomb.size() < 128 * 1024);
  wire::Buffer out(10);
  CHECK(wire::decompress(Encoding::kGzip, bomb.bytes(), kLimit, out) == InflateResult::kTooLarge);
  CHECK(out.capacity() == 0);
}

TEST_CASE("a stream that ends early is corrupt, wherever it is cut") {
  for (size_t length = 1; length < kGzipText.size(); ++length) {
    CHECK(outcome(Encoding::kGzip, Bytes(kGzipText.begin(), kGzipText.begin() + static_cast<int>(length))) ==
          InflateResult::kCorrupt);
  }
  for (size_t length = 1; length < kZlibText.size(); ++length) {
    CHECK(outcome(Encoding::kDeflate, Bytes(kZlibText.begin(), kZlibText.begin() + static_cast<int>(length))) ==
          InflateResult::kCorrupt);
  }
}

TEST_CASE("what follows the stream is corrupt, a second gzip member too") {
  CHECK(outcome(Encoding::kGzip, joined(kGzipText, bytes({0}))) == InflateResult::kCorrupt);
  CHECK(outcome(Encoding::kDeflate, joined(kZlibText, bytes({0x78}))) == InflateResult::kCorrupt);
  CHECK(outcome(Encoding::kGzip, joined(kGzipText, kGzipText)) == InflateResult::kCorrupt);
  CHECK(outcome(Encoding::kGzip, joined(kGzipEmpty, kGzipText)) == InflateResult::kCorrupt);
}

TEST_CASE("a wrong checksum, a wrong length and a wanted dictionary are corrupt") {
  Bytes checksum = kZlibText;
  checksum.back() ^= std::byte{1};
  CHECK(outcome(Encoding::kDeflate, checksum) == InflateResult::kCorrupt);
  Bytes length = kGzipText;
  length[length.size() - 4] ^= std::byte{1};
  CHECK(outcome(Encoding::kGzip, length) == InflateResult::kCorrupt);
  CHECK(outcome(Encoding::kDeflate, bytes({0x78, 0xbb, 0x00, 0x00, 0x00, 0x01, 0x03, 0x00})) ==
        InflateResult::kCorrupt);
}

TEST_CASE("what is compressed comes back, behind a free prefix") {
  std::mt19937 random(7);
  for (const size_t length : {size_t{0}, size_t{1}, size_t{300}, size_t{70'000}, size_t{1'000'000}}) {
    std::string message(length, '\0');
    // Noise does not compress: the buffer must hold what deflate adds to it.
    for (char& c : message) c = static_cast<char>(random());
    const auto whole = std::as_bytes(std::span<const char>(message));
    for (const Encoding encoding : {Encoding::kGzip, Encoding::kDeflate}) {
      for (const int level : {1, 9}) {
        const wire::Buffer packed = wire::compress(encoding, whole, level, 5);
        CHECK(inflated(encoding, packed.bytes().subspan(5)) == message);
      }
    }
  }
}

TEST_CASE("compression has the magic of its format") {
  const auto whole = std::as_bytes(std::span<const char>("tensor", 6));
  const wire::Buffer gzip = wire::compress(Encoding::kGzip, whole, 6, 0);
  CHECK(gzip.data()[0] == std::byte{0x1f});
  CHECK(gzip.data()[1] == std::byte{0x8b});
  const wire::Buffer deflate = wire::compress(Encoding::kDeflate, whole, 6, 0);
  CHECK(deflate.data()[0] == std::byte{0x78});
}
