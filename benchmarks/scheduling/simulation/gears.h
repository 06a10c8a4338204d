// The gears of the simulated model, and what each costs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "batching/buckets.h"

namespace npuserve::simulation {

struct Gear {
  int64_t rows = 0;
  int64_t length = 0;
  int64_t cost_ns = 0;  // of one execution

  int64_t tokens() const { return rows * length; }
};

// Immutable after construction.
class GearSet {
 public:
  // REQUIRES: at least one gear; all sizes and costs above 0.
  explicit GearSet(std::vector<Gear> gears);

  // The gears of the greatest length alone.
  GearSet longest() const;

  const Gear& operator[](size_t gear) const { return gears_[gear]; }
  int64_t max_rows() const { return max_rows_; }
  int64_t max_length() const { return max_length_; }

  // The cheapest gear that holds so many rows of the length. REQUIRES: one does: capacity(length) >= rows.
  const Gear& cheapest(int64_t rows, int64_t length) const { return gears_[cheapest_[cell(rows, length)]]; }

  // The most rows of the length that a gear holds.
  int64_t capacity(int64_t length) const { return capacity_[static_cast<size_t>(length)]; }

  // What a request of the length costs at least: its share of a full gear, of all that hold it the cheapest a row.
  double cheapest_row_ns(int64_t length) const { return row_cost_[static_cast<size_t>(length)]; }

  // The length of the gear that this is a share of.
  int64_t cheapest_row_length(int64_t length) const { return row_length_[static_cast<size_t>(length)]; }

  // The buckets, as the engine would have them of these gears.
  batching::BucketTable buckets() const;

 private:
  size_t cell(int64_t rows, int64_t length) const { return static_cast<size_t>(length * (max_rows_ + 1) + rows); }

  std::vector<Gear> gears_;
  int64_t max_rows_ = 0;
  int64_t max_length_ = 0;
  std::vector<size_t> cheapest_;     // by length and rows
  std::vector<int64_t> capacity_;    // by length
  std::vector<double> row_cost_;     // by length
  std::vector<int64_t> row_length_;  // by length
};

// Reads `ROWSxLENGTH:NANOSECONDS`, separated by commas. Throws std::invalid_argument naming what it cannot read.
GearSet parse_gears(const std::string& text);

}  // namespace npuserve::simulation
