#include <doctest/doctest.h>

#include <vector>

#include "batching/gears.h"
#include "signatures.h"

namespace core = npuserve::core;
using npuserve::batching::GearTable;
using npuserve::batching::test::tokens;

namespace {

std::vector<core::TensorView> of_length(int64_t rows, int64_t length) {
  return {{nullptr, 0, {rows, length}}, {nullptr, 0, {rows, length}}};
}

}  // namespace

TEST_CASE("the cheapest gear that holds the batch is chosen, whatever the order they were compiled in") {
  const GearTable table(tokens({{16, 512}, {1, 128}, {8, 128}, {1, 512}, {8, 32}}), true);
  CHECK(table.choose(1, of_length(1, 20)) == 1);   // 1x128 = 128 elements, 8x32 = 256
  CHECK(table.choose(2, of_length(1, 20)) == 4);   // 8x32
  CHECK(table.choose(2, of_length(1, 33)) == 2);   // 8x128
  CHECK(table.choose(1, of_length(1, 129)) == 3);  // 1x512
  CHECK(table.choose(9, of_length(1, 1)) == 0);    // 16x512
  CHECK(table.choose(16, of_length(1, 512)) == 0);
}

TEST_CASE("every input must fit") {
  const GearTable table(tokens({{4, 8}, {4, 16}}), true);
  std::vector<core::TensorView> inputs = of_length(1, 8);
  inputs[1].shape[1] = 9;
  CHECK(table.choose(1, inputs) == 1);
  inputs[1].shape[1] = 17;
  CHECK_FALSE(table.choose(1, inputs).has_value());
}

TEST_CASE("the most rows that fit depend on the row shape") {
  const GearTable table(tokens({{16, 32}, {4, 512}, {8, 128}}), true);
  CHECK(table.most_rows(of_length(1, 32)) == 16);
  CHECK(table.most_rows(of_length(1, 33)) == 8);
  CHECK(table.most_rows(of_length(1, 512)) == 4);
  CHECK(table.most_rows(of_length(1, 513)) == 0);
  CHECK_FALSE(table.choose(5, of_length(1, 512)).has_value());
}

TEST_CASE("a refusal names the input, the size asked for and the largest gear") {
  const GearTable table(tokens({{16, 512}, {1, 128}}), true);
  CHECK(table.refusal(2, of_length(2, 600)) ==
        "no gear of the model holds input 'input_ids' of shape [2,600]; the largest gear is [16,512]");
  std::vector<core::TensorView> inputs = of_length(2, 512);
  inputs[1].shape[1] = 513;
  CHECK(table.refusal(2, inputs) ==
        "no gear of the model holds input 'attention_mask' of shape [2,513]; the largest gear is [16,512]");
}

TEST_CASE("without batching a gear is met exactly or not at all") {
  const GearTable table(tokens({{2, 8}, {4, 8}}), false);
  CHECK(table.choose(1, of_length(2, 8)) == 0);
  CHECK(table.choose(1, of_length(4, 8)) == 1);
  CHECK_FALSE(table.choose(1, of_length(2, 7)).has_value());
  CHECK_FALSE(table.choose(1, of_length(3, 8)).has_value());
  CHECK(table.most_rows(of_length(2, 8)) == 1);
  CHECK(table.most_rows(of_length(2, 7)) == 0);
  CHECK(table.refusal(1, of_length(2, 7)).find("[2,7]; the largest gear is [4,8]") != std::string::npos);
}

TEST_CASE("of equally dear gears the first compiled is chosen") {
  const GearTable table(tokens({{4, 8}, {8, 4}}), true);
  CHECK(table.choose(1, of_length(1, 4)) == 0);
  CHECK(table.choose(8, of_length(1, 4)) == 1);
}
