#include <doctest/doctest.h>

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "wire/limits.h"
#include "wire/metadata.h"

namespace wire = npuserve::wire;
using namespace std::string_literals;

namespace {

constexpr size_t kMuch = 8192;
constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();

}  // namespace

TEST_CASE("a timeout is a count and a unit") {
  CHECK(wire::parse_timeout_ns("2H") == 7200 * wire::kSecond);
  CHECK(wire::parse_timeout_ns("3M") == 180 * wire::kSecond);
  CHECK(wire::parse_timeout_ns("4S") == 4 * wire::kSecond);
  CHECK(wire::parse_timeout_ns("5m") == 5 * wire::kMillisecond);
  CHECK(wire::parse_timeout_ns("6u") == 6000);
  CHECK(wire::parse_timeout_ns("7n") == 7);
  CHECK(wire::parse_timeout_ns("0n") == 0);
  CHECK(wire::parse_timeout_ns("00000001S") == wire::kSecond);
  CHECK(wire::parse_timeout_ns("99999999S") == 99'999'999 * wire::kSecond);
}

TEST_CASE("a timeout beyond 292 years is the longest there is") {
  CHECK(wire::parse_timeout_ns("99999999H") == kLargest);
  CHECK(wire::parse_timeout_ns("2562048H") == kLargest);  // 2^63 ns are 2,562,047.8 hours
  CHECK(wire::parse_timeout_ns("2562047H") == 2'562'047L * 3600 * wire::kSecond);
  CHECK(wire::parse_timeout_ns("99999999M") == 99'999'999L * 60 * wire::kSecond);
}

TEST_CASE("what is no timeout is told from one") {
  for (const char* text : {"", "S", "1", "10", "1s", "1h", "-1S", "+1S", " 1S", "1S ", "1 S", "1.5S", "0x1S",
                           "123456789n", "1SS", "S1", "\xd9\xa1S"}) {
    CAPTURE(text);
    CHECK_FALSE(wire::parse_timeout_ns(text));
  }
}

TEST_CASE("printable ASCII stays as it is, but for the percent sign") {
  std::string printable;
  for (char c = ' '; c <= '~'; ++c) {
    if (c != '%') printable += c;
  }
  CHECK(wire::percent_encode(printable, kMuch) == printable);
  CHECK(wire::percent_encode("100%", kMuch) == "100%25");
  CHECK(wire::percent_encode("", kMuch).empty());
}

TEST_CASE("all other bytes are two hexadecimal digits behind a percent sign") {
  // The example of gRPC's interoperability tests ("special_status_message").
  CHECK(wire::percent_encode(
            "\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP \xf0\x9f\x98\x88\t\n", kMuch) ==
        "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A");
  CHECK(wire::percent_encode("\0\x1f\x7f\x80\xff"s, kMuch) == "%00%1F%7F%80%FF");
}

TEST_CASE("a long message is cut between characters, with an ellipsis") {
  CHECK(wire::percent_encode(std::string(20, 'a'), 20) == std::string(20, 'a'));
  CHECK(wire::percent_encode(std::string(21, 'a'), 20) == "aaaaaaaaaaa%E2%80%A6");
  // A character of nine bytes on the wire: two fit in 18, and none of a third is left behind.
  const std::string faces = "\xe2\x98\xba\xe2\x98\xba\xe2\x98\xba";
  CHECK(wire::percent_encode(faces, 27) == "%E2%98%BA%E2%98%BA%E2%98%BA");
  CHECK(wire::percent_encode(faces, 26) == "%E2%98%BA%E2%80%A6");
  CHECK(wire::percent_encode(faces, 17) == "%E2%80%A6");
  CHECK(wire::percent_encode("aaaaaaaaa%", 11) == "aa%E2%80%A6");
}

TEST_CASE("the bound of a message holds, whatever the bytes") {
  const std::string bytes = "\x80\xbf\xe2\x98%\xf0\x9f\x98\x88 z\xff\x80\x80\x80\x80\x80\x80\x80";
  for (size_t bound = 0; bound < 64; ++bound) CHECK(wire::percent_encode(bytes, bound).size() <= bound);
}

TEST_CASE("base64 is that of RFC 4648") {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"},
                                                         {"\xfb\xff\xfe\x00"s, "+//+AA=="}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(wire::base64_encode(bytes) == text);
    CHECK(wire::base64_decode(text) == bytes);
    CHECK(wire::base64_decode(text.substr(0, text.find('='))) == bytes);  // gRPC sends it without padding
  }
}

TEST_CASE("every byte goes through base64 and back") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (size_t length = 250; length <= all.size(); ++length) {
    CHECK(wire::base64_decode(wire::base64_encode(std::string_view(all).substr(0, length))) == all.substr(0, length));
  }
}

TEST_CASE("what is no base64 is told from it") {
  for (const char* text :
       {"Z", "Zm9vY", "Zm9v Yg", "Zm 9", "Z-__", "Zm9v,Zm9v", "=Zg", "Zg=a", "Zh==", "Zm9=", "\xc3\xa9"}) {
    CAPTURE(text);
    CHECK_FALSE(wire::base64_decode(text));
  }
}

TEST_CASE("keys of binary values end in -bin") {
  CHECK(wire::is_binary_key("grpc-status-details-bin"));
  CHECK(wire::is_binary_key("-bin"));
  CHECK_FALSE(wire::is_binary_key("bin"));
  CHECK_FALSE(wire::is_binary_key("x-bin-y"));
}

TEST_CASE("keys are lower case letters, digits and three marks") {
  CHECK(wire::is_valid_key("abcdefghijklmnopqrstuvwxyz0123456789_-."));
  for (const char* key : {"", "Upper", "a b", ":path", "a/b", "a\x7f", "\xc3\xa9", "a\n"}) {
    CAPTURE(key);
    CHECK_FALSE(wire::is_valid_key(key));
  }
}

TEST_CASE("values are printable ASCII") {
  CHECK(wire::is_valid_value(""));
  CHECK(wire::is_valid_value(" !~"));
  for (const char* value : {"\x1f", "\x7f", "a\tb", "a\r\nb", "\xc3\xa9"}) {
    CAPTURE(value);
    CHECK_FALSE(wire::is_valid_value(value));
  }
  CHECK_FALSE(wire::is_valid_value("a\0b"s));
}

TEST_CASE("gRPC's content type may name a message format or have parameters") {
  for (const char* type : {"application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"}) {
    CAPTURE(type);
    CHECK(wire::is_grpc_content_type(type));
  }
  for (const char* type : {"", "application/grp", "application/grpcx", "application/grpc-web", "application/json"}) {
    CAPTURE(type);
    CHECK_FALSE(wire::is_grpc_content_type(type));
  }
}
