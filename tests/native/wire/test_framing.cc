#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "wire/framing.h"

namespace wire = npuserve::wire;
using wire::Encoding;

namespace {

constexpr int kLevel = 6;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

size_t length_in(const wire::Buffer& framed) {
  size_t length = 0;
  for (size_t i = 1; i < wire::kPrefixBytes; ++i) length = length << 8U | static_cast<size_t>(framed.data()[i]);
  return length;
}

std::string inflated(Encoding encoding, const wire::Buffer& framed) {
  wire::Buffer out;
  REQUIRE(wire::decompress(encoding, framed.bytes().subspan(wire::kPrefixBytes), 1 << 20, out) ==
          wire::InflateResult::kOk);
  return text_of(out.bytes());
}

}  // namespace

TEST_CASE("a prefix is a flag and the length in four bytes, the highest first") {
  std::array<std::byte, wire::kPrefixBytes> prefix{};
  wire::write_prefix(prefix.data(), false, 0x01020304);
  CHECK(text_of(prefix) == std::string("\x00\x01\x02\x03\x04", 5));
  wire::write_prefix(prefix.data(), true, 0xffffffff);
  CHECK(text_of(prefix) == std::string("\x01\xff\xff\xff\xff", 5));
  wire::write_prefix(prefix.data(), false, 0);
  CHECK(text_of(prefix) == std::string(5, '\0'));
}

TEST_CASE("an identity message is framed as it is") {
  CHECK(text_of(wire::frame_message(bytes_of("tensor"), Encoding::kIdentity, kLevel).bytes()) ==
        std::string("\x00\x00\x00\x00\x06tensor", 11));
  CHECK(text_of(wire::frame_message({}, Encoding::kIdentity, kLevel).bytes()) == std::string(5, '\0'));
}

TEST_CASE("a compressed message has the flag and its compressed length") {
  const std::string text(1000, 'x');
  for (const Encoding encoding : {Encoding::kGzip, Encoding::kDeflate}) {
    const wire::Buffer framed = wire::frame_message(bytes_of(text), encoding, kLevel);
    CHECK(framed.data()[0] == std::byte{1});
    CHECK(length_in(framed) == framed.size() - wire::kPrefixBytes);
    CHECK(framed.size() < 100);
    CHECK(inflated(encoding, framed) == text);
  }
}

TEST_CASE("a framed message is compressed behind a new prefix") {
  const std::string text(1000, 'x');
  const wire::Buffer framed =
      wire::compress_framed(wire::frame_message(bytes_of(text), Encoding::kIdentity, kLevel), Encoding::kGzip, kLevel);
  CHECK(framed.data()[0] == std::byte{1});
  CHECK(length_in(framed) == framed.size() - wire::kPrefixBytes);
  CHECK(inflated(Encoding::kGzip, framed) == text);
}

TEST_CASE("a framed message that is not to be compressed is handed back untouched") {
  wire::Buffer framed = wire::frame_message(bytes_of("tensor"), Encoding::kIdentity, kLevel);
  const std::byte* address = framed.data();
  const wire::Buffer same = wire::compress_framed(std::move(framed), Encoding::kIdentity, kLevel);
  CHECK(same.data() == address);
  CHECK(same.size() == wire::kPrefixBytes + 6);
}
