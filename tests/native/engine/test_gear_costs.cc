#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "engine/gear_costs.h"

namespace core = npuserve::core;
namespace engine = npuserve::engine;

namespace {

// Gears of all pairs, by length.
core::Signature grid(const std::vector<int64_t>& rows, const std::vector<int64_t>& lengths) {
  core::Signature signature{.inputs = {{"ids", core::Dtype::kInt64, {-1, -1}}}, .outputs = {}, .gears = {}};
  for (const int64_t length : lengths) {
    for (const int64_t count : rows) signature.gears.push_back({{{count, length}}, {}});
  }
  return signature;
}

std::vector<core::Shape> measured_shapes(const core::Signature& signature) {
  std::vector<core::Shape> shapes;
  for (const size_t gear : engine::gears_to_measure(signature)) {
    shapes.push_back(signature.gears[gear].input_shapes.front());
  }
  return shapes;
}

}  // namespace

TEST_CASE("rows and lengths twofold apart are measured, and the least and most, small ones first") {
  const core::Signature signature = grid({1, 2, 3, 4, 5}, {8, 12, 16, 20});
  const std::vector<core::Shape> expected{{1, 8}, {2, 8},  {1, 16}, {1, 20}, {4, 8},  {2, 16},
                                          {5, 8}, {2, 20}, {4, 16}, {5, 16}, {4, 20}, {5, 20}};
  CHECK(measured_shapes(signature) == expected);
}

TEST_CASE("a lone gear is measured, even without elements") {
  CHECK(measured_shapes(grid({1}, {8})) == std::vector<core::Shape>{{1, 8}});
  CHECK(measured_shapes(grid({2}, {0})) == std::vector<core::Shape>{{2, 0}});
}

TEST_CASE("costs between measured rows are linear") {
  const std::vector<engine::MeasuredGear> measured{{{1, 8}, 100}, {{4, 8}, 400}};
  CHECK(engine::costs_of(grid({1, 2, 3, 4}, {8}), measured) == std::vector<int64_t>{100, 200, 300, 400});
}

TEST_CASE("costs between measured lengths are linear") {
  const std::vector<engine::MeasuredGear> measured{{{1, 8}, 100}, {{1, 16}, 300}};
  CHECK(engine::costs_of(grid({1}, {8, 10, 12, 16}), measured) == std::vector<int64_t>{100, 150, 200, 300});
}

TEST_CASE("more rows than were measured cost as much each as the last ones did") {
  const std::vector<engine::MeasuredGear> measured{{{1, 8}, 100}, {{2, 8}, 150}};
  CHECK(engine::costs_of(grid({1, 2, 4}, {8}), measured) == std::vector<int64_t>{100, 150, 250});
}

TEST_CASE("of a length with one measured gear the cost is in proportion to the rows") {
  const std::vector<engine::MeasuredGear> measured{{{1, 8}, 100}, {{2, 8}, 150}, {{1, 16}, 500}};
  CHECK(engine::costs_of(grid({1, 2, 4}, {8, 16}), measured) == std::vector<int64_t>{100, 150, 250, 500, 1000, 2000});
}

TEST_CASE("what took longer than something larger was disturbed") {
  const std::vector<engine::MeasuredGear> rows{{{1, 8}, 200}, {{2, 8}, 150}};
  CHECK(engine::costs_of(grid({1, 2, 4}, {8}), rows) == std::vector<int64_t>{150, 150, 150});
  const std::vector<engine::MeasuredGear> lengths{{{1, 8}, 100}, {{1, 16}, 900}, {{1, 32}, 300}};
  CHECK(engine::costs_of(grid({1}, {8, 16, 32}), lengths) == std::vector<int64_t>{100, 300, 300});
  const std::vector<engine::MeasuredGear> crossed{{{2, 8}, 300}, {{1, 16}, 100}};
  CHECK(engine::costs_of(grid({2}, {8}), crossed) == std::vector<int64_t>{300});
}

TEST_CASE("what is told from other gears is within what smaller and larger ones cost") {
  const std::vector<engine::MeasuredGear> short_first{{{1, 8}, 100}, {{4, 8}, 400}, {{1, 16}, 150}, {{2, 16}, 160}};
  CHECK(engine::costs_of(grid({1, 2, 4}, {8, 16}), short_first) == std::vector<int64_t>{100, 160, 400, 150, 160, 400});
  const std::vector<engine::MeasuredGear> long_first{{{1, 8}, 100}, {{2, 8}, 200}, {{1, 16}, 250}, {{4, 16}, 300}};
  CHECK(engine::costs_of(grid({1, 2, 4}, {8, 16}), long_first) == std::vector<int64_t>{100, 200, 300, 250, 267, 300});
}

TEST_CASE("of gears that were all measured none costs more than one that holds as much") {
  const core::Signature lengths = grid({1, 4}, {8, 16});
  CHECK(engine::undisturbed(lengths, std::vector<int64_t>{130, 100, 120, 200}) ==
        std::vector<int64_t>{100, 100, 120, 200});
  core::Signature images = grid({1}, {8, 16});
  images.gears[0].input_shapes = {{1, 8, 64}};
  images.gears[1].input_shapes = {{1, 32, 32}};  // has more elements, but does not hold the first
  CHECK(engine::undisturbed(images, std::vector<int64_t>{300, 100}) == std::vector<int64_t>{300, 100});
}

TEST_CASE("nothing measured tells nothing, and no gear is free") {
  CHECK(engine::costs_of(grid({1, 2}, {8}), {}).empty());
  CHECK(engine::costs_of(grid({1}, {8}), std::vector<engine::MeasuredGear>{{{1, 8}, 0}}) == std::vector<int64_t>{1});
}
