#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "core/block_copy.h"
#include "core/dtype.h"
#include "core/shape.h"
#include "core/status.h"
#include "core/tensor_view.h"

namespace core = npuserve::core;

namespace {

std::vector<int32_t> iota(size_t count) {
  std::vector<int32_t> values(count);
  std::iota(values.begin(), values.end(), 1);
  return values;
}

std::vector<int32_t> padded(const std::vector<int32_t>& from, core::Shape from_shape, core::Shape to_shape) {
  std::vector<int32_t> to(static_cast<size_t>(core::element_count(to_shape)), -1);
  core::copy_padded(reinterpret_cast<std::byte*>(to.data()), to_shape, reinterpret_cast<const std::byte*>(from.data()),
                    from_shape, sizeof(int32_t));
  return to;
}

std::vector<int32_t> cut(const std::vector<int32_t>& from, core::Shape from_shape, core::Shape to_shape) {
  std::vector<int32_t> to(static_cast<size_t>(core::element_count(to_shape)), -1);
  core::copy_cut(reinterpret_cast<std::byte*>(to.data()), to_shape, reinterpret_cast<const std::byte*>(from.data()),
                 from_shape, sizeof(int32_t));
  return to;
}

// The element at each index of `shape`, read where it lies in an array of `padded_shape`: one index at a time.
std::vector<int32_t> cut_slowly(const std::vector<int32_t>& from, const core::Shape& padded_shape,
                                const core::Shape& shape) {
  std::vector<int32_t> to;
  core::Shape index(shape.size(), 0);
  for (int64_t count = core::element_count(shape); count > 0; --count) {
    int64_t offset = 0;
    for (size_t axis = 0; axis < index.size(); ++axis) offset = offset * padded_shape[axis] + index[axis];
    to.push_back(from[static_cast<size_t>(offset)]);
    for (size_t axis = index.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  return to;
}

}  // namespace

TEST_CASE("a status is success unless it is given a code") {
  const core::Status success;
  CHECK(success.ok());
  CHECK(success.code() == core::StatusCode::kOk);
  const core::Status failure(core::StatusCode::kUnavailable, "queue full");
  CHECK_FALSE(failure.ok());
  CHECK(static_cast<int>(failure.code()) == 14);
  CHECK(failure.message() == "queue full");
}

TEST_CASE("every dtype's name leads back to it") {
  for (int i = 0; i <= static_cast<int>(core::Dtype::kBytes); ++i) {
    const auto dtype = static_cast<core::Dtype>(i);
    CHECK(core::dtype_from_name(core::dtype_name(dtype)) == dtype);
  }
  CHECK_FALSE(core::dtype_from_name("FLOAT").has_value());
  CHECK_FALSE(core::dtype_from_name("").has_value());
}

TEST_CASE("dtypes have the sizes of the wire's raw contents") {
  CHECK(core::dtype_size_bytes(core::Dtype::kBool) == 1);
  CHECK(core::dtype_size_bytes(core::Dtype::kFp16) == 2);
  CHECK(core::dtype_size_bytes(core::Dtype::kBf16) == 2);
  CHECK(core::dtype_size_bytes(core::Dtype::kFp32) == 4);
  CHECK(core::dtype_size_bytes(core::Dtype::kInt64) == 8);
  CHECK(core::dtype_size_bytes(core::Dtype::kBytes) == 0);
  CHECK(core::dtype_name(core::Dtype::kUint16) == "UINT16");
}

TEST_CASE("a shape counts its elements and prints as Triton prints it") {
  CHECK(core::element_count(core::Shape{}) == 1);
  CHECK(core::element_count(core::Shape{2, 3, 4}) == 24);
  CHECK(core::element_count(core::Shape{7, 0}) == 0);
  CHECK(core::format_shape(core::Shape{-1, 16}) == "[-1,16]");
  CHECK(core::format_shape(core::Shape{}) == "[]");
}

TEST_CASE("a shape that has no size is refused") {
  CHECK_THROWS_AS((void)core::element_count(core::Shape{2, -1}), std::invalid_argument);
  CHECK_THROWS_AS((void)core::element_count(core::Shape{INT64_MAX, 2}), std::invalid_argument);
}

TEST_CASE("padding writes the block at the origin and zeros everywhere else") {
  CHECK(padded({1, 2, 3, 4}, {2, 2}, {2, 2}) == std::vector<int32_t>{1, 2, 3, 4});
  CHECK(padded({1, 2, 3, 4}, {2, 2}, {3, 3}) == std::vector<int32_t>{1, 2, 0, 3, 4, 0, 0, 0, 0});
  CHECK(padded({1, 2}, {1, 2}, {3, 2}) == std::vector<int32_t>{1, 2, 0, 0, 0, 0});
  CHECK(padded({1, 2}, {2, 1, 1}, {2, 1, 2}) == std::vector<int32_t>{1, 0, 2, 0});
  CHECK(padded({}, {2, 0}, {2, 2}) == std::vector<int32_t>{0, 0, 0, 0});
  CHECK(padded({5}, {}, {}) == std::vector<int32_t>{5});
}

TEST_CASE("cutting leaves the padding behind") {
  CHECK(cut({1, 2, 0, 3, 4, 0, 0, 0, 0}, {3, 3}, {2, 2}) == std::vector<int32_t>{1, 2, 3, 4});
  CHECK(cut(iota(6), {3, 2}, {2, 2}) == std::vector<int32_t>{1, 2, 3, 4});
  CHECK(cut(iota(4), {2, 2}, {2, 0}).empty());
  CHECK(cut({5}, {}, {}) == std::vector<int32_t>{5});
}

TEST_CASE("cutting undoes padding, and agrees with an element-wise copy, for all small shapes") {
  const core::Shape room{2, 3, 2, 3};
  const std::vector<int32_t> full = iota(36);
  for (int64_t code = 0; code < 2 * 3 * 2 * 3; ++code) {
    const core::Shape shape{1 + code % 2, 1 + code / 2 % 3, 1 + code / 6 % 2, 1 + code / 12};
    const std::vector<int32_t> block = cut(full, room, shape);
    CHECK(block == cut_slowly(full, room, shape));
    const std::vector<int32_t> back = padded(block, shape, room);
    CHECK(cut(back, room, shape) == block);
    CHECK(std::accumulate(back.begin(), back.end(), 0) == std::accumulate(block.begin(), block.end(), 0));
  }
}

TEST_CASE("an output view copies its own elements out of a padded array") {
  const std::vector<int32_t> rows{1, 2, 0, 3, 4, 0};
  const core::Shape shape{2, 2};
  const core::Shape padded_shape{2, 3};
  const core::OutputView view(reinterpret_cast<const std::byte*>(rows.data()), sizeof(int32_t), shape, padded_shape);
  std::vector<int32_t> out(4);
  REQUIRE(view.size_bytes() == 16);
  view.copy_to(reinterpret_cast<std::byte*>(out.data()));
  CHECK(out == std::vector<int32_t>{1, 2, 3, 4});
}
