#include "batching/gears.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

namespace npuserve::batching {
namespace {

// What a gear costs to run grows with the elements that it takes in.
int64_t cost_of(const core::Gear& gear) {
  int64_t cost = 0;
  for (const core::Shape& shape : gear.input_shapes) cost += core::element_count(shape);
  return cost;
}

}  // namespace

GearTable::GearTable(core::Signature signature, bool batched)
    : signature_(std::move(signature)), batched_(batched), cheapest_first_(signature_.gears.size()) {
  std::iota(cheapest_first_.begin(), cheapest_first_.end(), size_t{0});
  // Of equal cost, the first in the signature.
  std::ranges::sort(cheapest_first_, {}, [this](size_t i) { return std::pair(cost_of(signature_.gears[i]), i); });
  most_rows_first_ = cheapest_first_;
  std::ranges::sort(most_rows_first_, {}, [this](size_t i) { return std::pair(-rows_of(i), i); });
}

int64_t GearTable::rows_of(size_t gear) const { return batched_ ? signature_.gears[gear].input_shapes[0][0] : 1; }

bool GearTable::holds(size_t gear, int64_t rows, size_t input, const core::Shape& shape) const {
  const core::Shape& room = signature_.gears[gear].input_shapes[input];
  if (!batched_) return shape == room;
  if (rows > room[0]) return false;
  return std::equal(shape.begin() + 1, shape.end(), room.begin() + 1, room.end(), std::less_equal<>());
}

bool GearTable::holds_all(size_t gear, int64_t rows, std::span<const core::TensorView> inputs) const {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!holds(gear, rows, i, inputs[i].shape)) return false;
  }
  return true;
}

std::optional<size_t> GearTable::choose(int64_t rows, std::span<const core::TensorView> inputs) const {
  const auto gear = std::ranges::find_if(cheapest_first_, [&](size_t i) { return holds_all(i, rows, inputs); });
  if (gear == cheapest_first_.end()) return std::nullopt;
  return *gear;
}

int64_t GearTable::most_rows(std::span<const core::TensorView> inputs) const {
  const auto gear = std::ranges::find_if(most_rows_first_, [&](size_t i) { return holds_all(i, 1, inputs); });
  return gear == most_rows_first_.end() ? 0 : rows_of(*gear);
}

std::string GearTable::refusal(int64_t rows, std::span<const core::TensorView> inputs) const {
  const size_t largest = cheapest_first_.back();
  size_t named = 0;
  for (size_t i = inputs.size(); i-- > 0;) {
    if (!holds(largest, rows, i, inputs[i].shape)) named = i;
  }
  core::Shape asked = inputs[named].shape;
  if (batched_) asked[0] = rows;
  return "no gear of the model holds input '" + signature_.inputs[named].name + "' of shape " +
         core::format_shape(asked) + "; the largest gear is " +
         core::format_shape(signature_.gears[largest].input_shapes[named]);
}

}  // namespace npuserve::batching
