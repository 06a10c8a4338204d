#include "engine/gear_costs.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <utility>

namespace npuserve::engine {
namespace {

using Line = std::map<int64_t, double>;  // cost by rows, of one row shape

double between(double from, double to, int64_t start, int64_t at, int64_t end) {
  return from + (to - from) * static_cast<double>(at - start) / static_cast<double>(end - start);
}

// Those that are at least twice the one before, and the last.
std::vector<int64_t> twofold(const std::set<int64_t>& sizes) {
  std::vector<int64_t> chosen;
  for (const int64_t size : sizes) {
    if (chosen.empty() || size >= 2 * chosen.back() || size == *sizes.rbegin()) chosen.push_back(size);
  }
  return chosen;
}

// Costs beyond the last measured rows grow as between the last two; in proportion if there is only one.
double beyond(const Line& line, int64_t rows) {
  const auto last = std::prev(line.end());
  const double a_row = last == line.begin() ? last->second / static_cast<double>(last->first)
                                            : (last->second - std::prev(last)->second) /
                                                  static_cast<double>(last->first - std::prev(last)->first);
  return last->second + std::max(a_row, 0.0) * static_cast<double>(rows - last->first);
}

bool is_within(const GearExtent& gear, const GearExtent& other) {
  return gear.rows <= other.rows && gear.row_elements <= other.row_elements;
}

bool is_within(const core::Gear& gear, const core::Gear& other) {
  return std::ranges::equal(gear.input_shapes, other.input_shapes, [](const core::Shape& one, const core::Shape& room) {
    return std::ranges::equal(one, room, std::less_equal<>());
  });
}

// The cost of the cheapest measured gear that is as large or larger; `cost` if none costs less.
double at_most(double cost, const GearExtent& gear, std::span<const MeasuredGear> measured) {
  for (const auto& [extent, cost_ns] : measured) {
    if (is_within(gear, extent)) cost = std::min(cost, static_cast<double>(cost_ns));
  }
  return cost;
}

double cost_in(const Line& line, int64_t rows) {
  const auto above = line.lower_bound(rows);
  if (above == line.end()) return beyond(line, rows);
  if (above->first == rows || above == line.begin()) return above->second;
  const auto below = std::prev(above);
  return between(below->second, above->second, below->first, rows, above->first);
}

// lines: by elements of a row; at least one.
double cost_by(const std::map<int64_t, Line>& lines, const GearExtent& gear) {
  const auto above = lines.lower_bound(gear.row_elements);
  if (above == lines.end()) {
    const auto& [longest, line] = *lines.rbegin();
    const double lengths = static_cast<double>(gear.row_elements) / static_cast<double>(std::max<int64_t>(1, longest));
    return cost_in(line, gear.rows) * lengths;
  }
  if (above->first == gear.row_elements || above == lines.begin()) return cost_in(above->second, gear.rows);
  const auto below = std::prev(above);
  return between(cost_in(below->second, gear.rows), cost_in(above->second, gear.rows), below->first, gear.row_elements,
                 above->first);
}

// A gear, and what is told of its cost.
struct Told {
  size_t gear = 0;
  GearExtent extent;
  double cost = 0;
};

}  // namespace

GearExtent extent_of(const core::Gear& gear) {
  if (gear.input_shapes.empty()) return {.rows = 1, .row_elements = 0};
  const int64_t rows = gear.input_shapes.front().empty() ? 1 : std::max<int64_t>(1, gear.input_shapes.front().front());
  int64_t elements = 0;
  for (const core::Shape& shape : gear.input_shapes) elements += core::element_count(shape);
  return {.rows = rows, .row_elements = elements / rows};
}

std::vector<size_t> gears_to_measure(const core::Signature& signature) {
  std::set<int64_t> rows;
  std::set<int64_t> row_elements;
  for (const core::Gear& gear : signature.gears) {
    rows.insert(extent_of(gear).rows);
    row_elements.insert(extent_of(gear).row_elements);
  }
  const std::vector<int64_t> chosen_rows = twofold(rows);
  const std::vector<int64_t> chosen_elements = twofold(row_elements);
  std::vector<size_t> gears;
  for (size_t gear = 0; gear < signature.gears.size(); ++gear) {
    const GearExtent extent = extent_of(signature.gears[gear]);
    if (std::ranges::binary_search(chosen_rows, extent.rows) &&
        std::ranges::binary_search(chosen_elements, extent.row_elements)) {
      gears.push_back(gear);
    }
  }
  std::ranges::sort(gears, {},
                    [&](size_t gear) { return std::pair(extent_of(signature.gears[gear]).elements(), gear); });
  return gears;
}

std::vector<int64_t> costs_of(const core::Signature& signature, std::span<const MeasuredGear> measured) {
  if (measured.empty()) return {};
  std::map<int64_t, Line> lines;  // by elements of a row
  for (const MeasuredGear& gear : measured) {
    lines[gear.extent.row_elements][gear.extent.rows] =
        at_most(static_cast<double>(gear.cost_ns), gear.extent, measured);
  }
  std::vector<Told> told;
  told.reserve(signature.gears.size());
  for (size_t i = 0; i < signature.gears.size(); ++i) {
    const GearExtent extent = extent_of(signature.gears[i]);
    told.push_back({i, extent, at_most(cost_by(lines, extent), extent, measured)});
  }
  // Smaller ones first, so that each is compared with what these cost in the end.
  std::ranges::sort(told, {}, [](const Told& gear) { return std::pair(gear.extent.rows, gear.extent.row_elements); });
  std::vector<int64_t> costs(told.size());
  for (size_t i = 0; i < told.size(); ++i) {
    for (size_t smaller = 0; smaller < i; ++smaller) {
      if (is_within(told[smaller].extent, told[i].extent)) told[i].cost = std::max(told[i].cost, told[smaller].cost);
    }
    costs[told[i].gear] = std::max<int64_t>(1, std::llround(told[i].cost));
  }
  return costs;
}

std::vector<int64_t> undisturbed(const core::Signature& signature, std::span<const int64_t> measured_ns) {
  std::vector<int64_t> costs(measured_ns.begin(), measured_ns.end());
  for (size_t gear = 0; gear < costs.size(); ++gear) {
    for (size_t other = 0; other < costs.size(); ++other) {
      const bool is_held = is_within(signature.gears[gear], signature.gears[other]);
      if (is_held) costs[gear] = std::min(costs[gear], measured_ns[other]);
    }
  }
  return costs;
}

}  // namespace npuserve::engine
