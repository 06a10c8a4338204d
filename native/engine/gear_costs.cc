#include "engine/gear_costs.h"

#include <algorithm>
#include <cmath>
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

// The cost of a measured gear, or of the cheapest larger one.
double undisturbed(const MeasuredGear& gear, std::span<const MeasuredGear> measured) {
  int64_t least_ns = gear.cost_ns;
  for (const auto& [extent, cost_ns] : measured) {
    const bool is_larger = extent.rows >= gear.extent.rows && extent.row_elements >= gear.extent.row_elements;
    if (is_larger) least_ns = std::min(least_ns, cost_ns);
  }
  return static_cast<double>(least_ns);
}

double cost_in(const Line& line, int64_t rows) {
  const auto above = line.lower_bound(rows);
  if (above == line.end()) return beyond(line, rows);
  if (above->first == rows || above == line.begin()) return above->second;
  const auto below = std::prev(above);
  return between(below->second, above->second, below->first, rows, above->first);
}

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
    lines[gear.extent.row_elements][gear.extent.rows] = undisturbed(gear, measured);
  }
  std::vector<int64_t> costs;
  costs.reserve(signature.gears.size());
  for (const core::Gear& gear : signature.gears) {
    const auto [rows, row_elements] = extent_of(gear);
    const auto above = lines.lower_bound(row_elements);
    double cost = 0;
    if (above == lines.end()) {
      const auto& [longest, line] = *lines.rbegin();
      cost =
          cost_in(line, rows) * static_cast<double>(row_elements) / static_cast<double>(std::max<int64_t>(1, longest));
    } else if (above->first == row_elements || above == lines.begin()) {
      cost = cost_in(above->second, rows);
    } else {
      const auto below = std::prev(above);
      cost =
          between(cost_in(below->second, rows), cost_in(above->second, rows), below->first, row_elements, above->first);
    }
    costs.push_back(std::max<int64_t>(1, std::llround(cost)));
  }
  return costs;
}

}  // namespace npuserve::engine
