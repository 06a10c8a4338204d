#include "batching/buckets.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace npuserve::batching {
namespace {

using Sizes = std::vector<int64_t>;

bool holds(const Sizes& room, const Sizes& sizes) { return std::ranges::equal(sizes, room, std::less_equal<>()); }

struct Candidate {
  size_t gear;
  int64_t rows;
  int64_t cost_ns;
  Sizes sizes;
};

int64_t elements_of(const core::Gear& gear) {
  int64_t elements = 0;
  for (const core::Shape& shape : gear.input_shapes) elements += core::element_count(shape);
  return elements;
}

// Until gears are measured: what an execution costs besides its rows is taken for one more of the longest. Without it
// nothing would be gained by sharing one.
int64_t unmeasured_overhead(const core::Signature& signature) {
  int64_t longest = 0;
  for (const core::Gear& gear : signature.gears) {
    longest = std::max(longest, elements_of(gear) / std::max<int64_t>(1, gear.input_shapes[0][0]));
  }
  return longest;
}

template <typename Axes>
std::vector<Candidate> candidates(const core::Signature& signature, std::span<const int64_t> costs_ns,
                                  const Axes& axes) {
  std::vector<Candidate> found;
  const int64_t overhead = unmeasured_overhead(signature);
  for (size_t i = 0; i < signature.gears.size(); ++i) {
    const core::Gear& gear = signature.gears[i];
    const int64_t cost_ns = costs_ns.empty() ? overhead + elements_of(gear) : costs_ns[i];
    Candidate candidate{
        .gear = i, .rows = gear.input_shapes[0][0], .cost_ns = std::max<int64_t>(1, cost_ns), .sizes = {}};
    for (const auto& [input, axis] : axes) candidate.sizes.push_back(gear.input_shapes[input][axis]);
    found.push_back(std::move(candidate));
  }
  return found;
}

// Whether nobody needs `gear`: the other holds as much and costs less. Of gears that are alike the first in the
// signature stays; a smaller one stays at the same cost.
bool is_replaced(const Candidate& gear, const Candidate& by) {
  if (gear.rows > by.rows || gear.cost_ns < by.cost_ns || !holds(by.sizes, gear.sizes)) return false;
  if (gear.cost_ns > by.cost_ns) return true;
  return gear.rows == by.rows && gear.sizes == by.sizes && by.gear < gear.gear;
}

double volume(const Sizes& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), 1.0,
                         [](double product, int64_t size) { return product * static_cast<double>(size); });
}

}  // namespace

BucketTable::BucketTable(const core::Signature& signature, std::span<const int64_t> costs_ns) {
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    const core::Shape& shape = signature.inputs[i].shape;
    for (size_t axis = 1; axis < shape.size(); ++axis) {
      if (shape[axis] < 0) axes_.push_back({.input = i, .axis = axis});
    }
  }
  const std::vector<Candidate> all = candidates(signature, costs_ns, axes_);
  std::map<Sizes, Bucket> by_sizes;
  for (const Candidate& gear : all) {
    if (std::ranges::any_of(all, [&](const Candidate& by) { return is_replaced(gear, by); })) continue;
    by_sizes[gear.sizes].gears.push_back({.rows = gear.rows, .gear = gear.gear, .cost_ns = gear.cost_ns});
  }
  for (auto& [sizes, bucket] : by_sizes) {
    std::ranges::sort(bucket.gears, {}, &BucketGear::rows);
    for (const BucketGear& gear : bucket.gears) {
      const int64_t row_cost_ns = std::max<int64_t>(1, gear.cost_ns / gear.rows);
      if (bucket.row_cost_ns == 0 || row_cost_ns < bucket.row_cost_ns) bucket.row_cost_ns = row_cost_ns;
    }
  }
  // Where a wider bucket's rows are cheaper, that is what rows of the narrower one may cost.
  std::vector<std::pair<Sizes, Bucket>> ordered;
  for (const auto& [sizes, bucket] : by_sizes) {
    Bucket cheapest = bucket;
    for (const auto& [others, wider] : by_sizes) {
      if (holds(others, sizes)) cheapest.row_cost_ns = std::min(cheapest.row_cost_ns, wider.row_cost_ns);
    }
    ordered.emplace_back(sizes, std::move(cheapest));
  }
  // A bucket then costs no less than those it holds; of equal cost the narrower stands first.
  std::ranges::sort(ordered, [](const auto& one, const auto& other) {
    const std::tuple key(one.second.row_cost_ns, volume(one.first));
    const std::tuple other_key(other.second.row_cost_ns, volume(other.first));
    return key == other_key ? one.first < other.first : key < other_key;
  });
  for (auto& [sizes, bucket] : ordered) {
    sizes_.push_back(sizes);
    buckets_.push_back(std::move(bucket));
  }
  for (size_t i = 0; i < buckets_.size(); ++i) {
    for (size_t held = i + 1; held-- > 0;) {
      if (!holds(sizes_[i], sizes_[held])) continue;
      buckets_[i].holds.push_back(held);
      buckets_[held].most_rows = std::max(buckets_[held].most_rows, buckets_[i].gears.back().rows);
    }
  }
}

std::optional<size_t> BucketTable::bucket_of(std::span<const core::TensorView> inputs, int64_t rows) const {
  Sizes sizes;
  for (const Axis& axis : axes_) {
    if (axis.input >= inputs.size() || axis.axis >= inputs[axis.input].shape.size()) return std::nullopt;
    sizes.push_back(inputs[axis.input].shape[axis.axis]);
  }
  return bucket_of(sizes, rows);
}

std::optional<size_t> BucketTable::bucket_of(std::span<const int64_t> variable_sizes, int64_t rows) const {
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const bool is_held = std::ranges::equal(variable_sizes, sizes_[i], std::less_equal<>());
    if (is_held && rows <= buckets_[i].most_rows) return i;
  }
  return std::nullopt;
}

}  // namespace npuserve::batching
