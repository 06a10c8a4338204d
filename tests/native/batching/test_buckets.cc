#include "batching/buckets.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "signatures.h"

namespace core = npuserve::core;
using npuserve::batching::Bucket;
using npuserve::batching::BucketTable;
using npuserve::batching::test::tokens;

namespace {

using Numbers = std::vector<size_t>;

Numbers gears_of(const Bucket& bucket) {
  Numbers gears;
  for (const auto& gear : bucket.gears) gears.push_back(gear.gear);
  return gears;
}

std::optional<size_t> bucket_of(const BucketTable& table, std::vector<int64_t> sizes) { return table.bucket_of(sizes); }

}  // namespace

TEST_CASE("a bucket is a row shape, with its gears by rows; buckets stand by what a row costs") {
  const BucketTable table(tokens({{8, 128}, {1, 32}, {1, 128}, {4, 32}}), {});
  REQUIRE(table.buckets().size() == 2);
  CHECK(gears_of(table.buckets()[0]) == Numbers{1, 3});
  CHECK(gears_of(table.buckets()[1]) == Numbers{2, 0});
  CHECK(table.buckets()[1].gears[1].rows == 8);
}

TEST_CASE("without measured costs a gear takes a nanosecond for each element of its inputs and of one more row") {
  const BucketTable table(tokens({{8, 128}}), {});
  CHECK(table.buckets()[0].gears[0].cost_ns == 2 * (8 + 1) * 128);
  CHECK(table.buckets()[0].row_cost_ns == 2 * (8 + 1) * 128 / 8);
}

TEST_CASE("a row costs what it does in the gear that is cheapest a row") {
  const std::vector<int64_t> costs = {100, 160, 480};
  const BucketTable table(tokens({{1, 16}, {2, 16}, {4, 16}}), costs);
  CHECK(table.buckets()[0].row_cost_ns == 80);
}

TEST_CASE("a row costs no more than in a wider bucket that is cheaper") {
  const std::vector<int64_t> costs = {100, 400};
  const BucketTable table(tokens({{1, 16}, {8, 32}}), costs);
  REQUIRE(table.buckets().size() == 2);
  CHECK(table.buckets()[0].row_cost_ns == 50);
  CHECK(table.buckets()[1].row_cost_ns == 50);
  CHECK(bucket_of(table, {16, 16}) == 0);  // of equal cost, the narrower
}

TEST_CASE("a bucket holds the requests of the narrower ones, and itself first") {
  const BucketTable table(tokens({{1, 64}, {1, 16}, {1, 32}}), {});
  CHECK(table.buckets()[0].holds == Numbers{0});
  CHECK(table.buckets()[1].holds == Numbers{1, 0});
  CHECK(table.buckets()[2].holds == Numbers{2, 1, 0});
}

TEST_CASE("row shapes of which neither holds the other share nothing") {
  core::Signature signature;
  signature.inputs = {{"image", core::Dtype::kFp32, {-1, 3, -1, -1}}};
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{10, 20}, {20, 10}, {20, 20}}) {
    signature.gears.push_back({{{1, 3, height, width}}, {}});
  }
  const BucketTable table(signature, {});
  CHECK(table.buckets()[0].holds == Numbers{0});
  CHECK(table.buckets()[1].holds == Numbers{1});
  CHECK(table.buckets()[2].holds == Numbers{2, 1, 0});
  CHECK(bucket_of(table, {10, 20}) != bucket_of(table, {20, 10}));
  CHECK(bucket_of(table, {11, 11}) == 2);
}

TEST_CASE("a request belongs to the cheapest bucket that holds it on every axis") {
  const BucketTable table(tokens({{1, 16}, {1, 32}, {1, 64}}), {});
  CHECK(bucket_of(table, {1, 1}) == 0);
  CHECK(bucket_of(table, {16, 16}) == 0);
  CHECK(bucket_of(table, {17, 17}) == 1);
  CHECK(bucket_of(table, {16, 33}) == 2);
  CHECK_FALSE(bucket_of(table, {65, 1}).has_value());
  const std::vector<core::TensorView> inputs = {{nullptr, 0, {9, 20}}, {nullptr, 0, {9, 3}}};
  CHECK(table.bucket_of(inputs) == 1);  // however many rows it has
}

TEST_CASE("a request belongs to a bucket whose requests may have as many rows") {
  core::Signature signature;
  signature.inputs = {{"image", core::Dtype::kFp32, {-1, -1, -1}}};
  signature.gears = {{{{2, 10, 20}}, {}}, {{{8, 20, 10}}, {}}};
  const std::vector<int64_t> costs = {400, 1600};
  const BucketTable table(signature, costs);
  CHECK(table.buckets()[0].most_rows == 2);
  CHECK(bucket_of(table, {10, 10}) == 0);
  CHECK(table.bucket_of(std::vector<int64_t>{10, 10}, 3) == 1);
  CHECK_FALSE(table.bucket_of(std::vector<int64_t>{10, 20}, 3).has_value());
  const BucketTable lengths(tokens({{1, 16}, {8, 64}}), {});
  CHECK(lengths.bucket_of(std::vector<int64_t>{16, 16}, 8) == 0);  // the longer bucket's gear runs them
}

TEST_CASE("inputs that are not the model's belong nowhere") {
  const BucketTable table(tokens({{1, 16}}), {});
  CHECK_FALSE(bucket_of(table, {1}).has_value());
  const std::vector<core::TensorView> one = {{nullptr, 0, {1, 3}}};
  CHECK_FALSE(table.bucket_of(one).has_value());
  const std::vector<core::TensorView> flat = {{nullptr, 0, {1}}, {nullptr, 0, {1}}};
  CHECK_FALSE(table.bucket_of(flat).has_value());
}

TEST_CASE("a gear that costs more than one that holds as much is left out") {
  SUBCASE("longer and cheaper") {
    const std::vector<int64_t> costs = {500, 400, 300};
    const BucketTable table(tokens({{4, 16}, {4, 32}, {1, 16}}), costs);
    REQUIRE(table.buckets().size() == 2);
    CHECK(gears_of(table.buckets()[bucket_of(table, {16, 16}).value()]) == Numbers{2});
  }
  SUBCASE("a whole bucket") {
    const std::vector<int64_t> costs = {401, 400};
    const BucketTable table(tokens({{4, 16}, {4, 32}}), costs);
    REQUIRE(table.buckets().size() == 1);
    CHECK(bucket_of(table, {3, 3}) == 0);
    CHECK(gears_of(table.buckets()[0]) == Numbers{1});
  }
  SUBCASE("not one that costs the same and is smaller: what it runs is less") {
    const std::vector<int64_t> costs = {400, 400, 400};
    const BucketTable table(tokens({{4, 16}, {4, 32}, {1, 16}}), costs);
    REQUIRE(table.buckets().size() == 2);
    CHECK(gears_of(table.buckets()[bucket_of(table, {16, 16}).value()]) == Numbers{2, 0});
    CHECK(gears_of(table.buckets()[bucket_of(table, {17, 17}).value()]) == Numbers{1});
  }
  SUBCASE("of equals the first stays") {
    const BucketTable table(tokens({{4, 16}, {4, 16}}), {});
    CHECK(gears_of(table.buckets()[0]) == Numbers{0});
  }
}

TEST_CASE("a cost of nothing is a nanosecond: what divides by it need not look") {
  const std::vector<int64_t> costs = {0, 3};
  const BucketTable table(tokens({{1, 16}, {8, 16}}), costs);
  CHECK(table.buckets()[0].gears[0].cost_ns == 1);
  CHECK(table.buckets()[0].row_cost_ns == 1);
}

TEST_CASE("a model without variable sizes has one bucket, a table without a model none") {
  core::Signature signature;
  signature.inputs = {{"x", core::Dtype::kFp32, {-1, 4}}};
  signature.gears = {{{{1, 4}}, {}}, {{{8, 4}}, {}}};
  const BucketTable table(signature, {});
  REQUIRE(table.buckets().size() == 1);
  CHECK(table.buckets()[0].gears.size() == 2);
  CHECK(bucket_of(table, {}) == 0);
  CHECK(BucketTable().buckets().empty());
}
