// Elements that fill inputs, and masks that tell where requests end.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/padding.h"

namespace core = npuserve::core;
using core::Dtype;
using npuserve::engine::padding_element;
using npuserve::engine::used_length;

namespace {

template <typename T>
T element(Dtype dtype, double value) {
  const std::vector<std::byte> bytes = padding_element(dtype, value);
  REQUIRE(bytes.size() == sizeof(T));
  T made;
  std::memcpy(&made, bytes.data(), sizeof(T));
  return made;
}

bool is_refused(Dtype dtype, double value) {
  try {
    (void)padding_element(dtype, value);
  } catch (const std::invalid_argument&) {
    return true;
  }
  return false;
}

template <typename T>
int64_t used(const std::vector<T>& mask, int64_t rows) {
  const auto length = static_cast<int64_t>(mask.size()) / rows;
  return used_length({reinterpret_cast<const std::byte*>(mask.data()), mask.size() * sizeof(T), {rows, length}},
                     sizeof(T));
}

}  // namespace

TEST_CASE("an element has its dtype's bytes") {
  CHECK(element<int64_t>(Dtype::kInt64, -7) == -7);
  CHECK(element<int32_t>(Dtype::kInt32, 103) == 103);
  CHECK(element<uint8_t>(Dtype::kBool, 1) == 1);
  CHECK(element<uint64_t>(Dtype::kUint64, 9007199254740992.0) == uint64_t{1} << 53);
  CHECK(element<float>(Dtype::kFp32, -0.5) == -0.5F);
  CHECK(element<double>(Dtype::kFp64, 0.1) == 0.1);
}

// The bits are those of numpy's float16 and of the upper half of a float.
TEST_CASE("halves are rounded to the nearest, ties to even") {
  CHECK(element<uint16_t>(Dtype::kFp16, 0) == 0x0000);
  CHECK(element<uint16_t>(Dtype::kFp16, 1) == 0x3c00);
  CHECK(element<uint16_t>(Dtype::kFp16, -2) == 0xc000);
  CHECK(element<uint16_t>(Dtype::kFp16, 0.1) == 0x2e66);
  CHECK(element<uint16_t>(Dtype::kFp16, 65504) == 0x7bff);
  CHECK(element<uint16_t>(Dtype::kFp16, 2049) == 0x6800);
  CHECK(element<uint16_t>(Dtype::kFp16, 5.960464477539063e-08) == 0x0001);
  CHECK(element<uint16_t>(Dtype::kFp16, 6.103515625e-05) == 0x0400);
  CHECK(element<uint16_t>(Dtype::kFp16, 6.1035e-05) == 0x0400);
  CHECK(element<uint16_t>(Dtype::kBf16, 1) == 0x3f80);
  CHECK(element<uint16_t>(Dtype::kBf16, -0.1) == 0xbdcd);
  CHECK(element<uint16_t>(Dtype::kBf16, 3.3895313892515355e+38) == 0x7f7f);
}

TEST_CASE("a value that the dtype does not have is refused") {
  CHECK_THROWS_WITH_AS((void)padding_element(Dtype::kUint8, 256), "padding value 256 is none of type UINT8",
                       std::invalid_argument);
  CHECK(is_refused(Dtype::kUint8, -1));
  CHECK(is_refused(Dtype::kInt8, 128));
  CHECK(is_refused(Dtype::kInt64, 9.3e18));
  CHECK(is_refused(Dtype::kInt32, 0.5));
  CHECK(is_refused(Dtype::kBool, 2));
  CHECK(is_refused(Dtype::kFp16, 65520));
  CHECK(is_refused(Dtype::kBf16, 3.4e38));
  CHECK(is_refused(Dtype::kFp32, 1e39));
  CHECK(is_refused(Dtype::kFp64, std::numeric_limits<double>::quiet_NaN()));
  CHECK(is_refused(Dtype::kBytes, 0));
}

TEST_CASE("a request ends behind the last position that any row counts") {
  CHECK(used<int64_t>({1, 1, 0, 0, 1, 0, 0, 0}, 2) == 2);
  CHECK(used<int32_t>({1, 0, 0, 0, 0, 0, 1, 0}, 2) == 3);
  CHECK(used<float>({0, 0, 0.5F, 0}, 1) == 3);
  CHECK(used<uint8_t>({1, 1, 1, 1}, 2) == 2);
  CHECK(used<uint16_t>({0, 1, 0}, 1) == 2);
}

TEST_CASE("a row that counts no position keeps them all") {
  CHECK(used<int64_t>({0, 0, 0}, 1) == 3);
  CHECK(used<int64_t>({1, 0, 0, 0, 0, 0}, 2) == 3);
  CHECK(used<int64_t>({0, 0, 0, 1, 1, 0}, 2) == 3);
}
