#include "gears.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace npuserve::simulation {

GearSet::GearSet(std::vector<Gear> gears) : gears_(std::move(gears)) {
  for (const Gear& gear : gears_) {
    max_rows_ = std::max(max_rows_, gear.rows);
    max_length_ = std::max(max_length_, gear.length);
  }
  const auto lengths = static_cast<size_t>(max_length_ + 1);
  cheapest_.resize(cell(max_rows_, max_length_) + 1);
  capacity_.resize(lengths);
  row_cost_.resize(lengths, std::numeric_limits<double>::infinity());
  row_length_.resize(lengths);
  for (int64_t length = 0; length <= max_length_; ++length) {
    const auto at = static_cast<size_t>(length);
    for (size_t number = 0; number < gears_.size(); ++number) {
      const Gear& gear = gears_[number];
      if (gear.length < length) continue;
      capacity_[at] = std::max(capacity_[at], gear.rows);
      const double row_ns = static_cast<double>(gear.cost_ns) / static_cast<double>(gear.rows);
      if (row_ns >= row_cost_[at]) continue;
      row_cost_[at] = row_ns;
      row_length_[at] = gear.length;
    }
    for (int64_t rows = 0; rows <= capacity_[at]; ++rows) {
      int64_t least_ns = std::numeric_limits<int64_t>::max();
      for (size_t number = 0; number < gears_.size(); ++number) {
        const Gear& gear = gears_[number];
        if (gear.length < length || gear.rows < rows || gear.cost_ns >= least_ns) continue;
        least_ns = gear.cost_ns;
        cheapest_[cell(rows, length)] = number;
      }
    }
  }
}

GearSet GearSet::longest() const {
  std::vector<Gear> kept;
  std::ranges::copy_if(gears_, std::back_inserter(kept), [&](const Gear& gear) { return gear.length == max_length_; });
  return GearSet(std::move(kept));
}

batching::BucketTable GearSet::buckets() const {
  core::Signature signature;
  signature.inputs.push_back({.name = "input_ids", .dtype = core::Dtype::kInt64, .shape = {-1, -1}});
  std::vector<int64_t> costs_ns;
  for (const Gear& gear : gears_) {
    signature.gears.push_back({.input_shapes = {{gear.rows, gear.length}}, .output_shapes = {}});
    costs_ns.push_back(gear.cost_ns);
  }
  return {signature, costs_ns};
}

GearSet parse_gears(const std::string& text) {
  std::vector<Gear> gears;
  std::istringstream list(text);
  for (std::string word; std::getline(list, word, ',');) {
    std::istringstream in(word);
    Gear gear;
    char times = 0;
    char colon = 0;
    in >> gear.rows >> times >> gear.length >> colon >> gear.cost_ns;
    const bool read = !in.fail() && in.peek() == EOF && times == 'x' && colon == ':';
    if (!read || gear.rows <= 0 || gear.length <= 0 || gear.cost_ns <= 0) {
      throw std::invalid_argument("gear '" + word + "' is not ROWSxLENGTH:NANOSECONDS, all above 0");
    }
    gears.push_back(gear);
  }
  if (gears.empty()) throw std::invalid_argument("there are no gears");
  return GearSet(std::move(gears));
}

}  // namespace npuserve::simulation
