// The row shapes that a model's gears have, what each gear costs, and which gear wastes least.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/signature.h"
#include "core/tensor_view.h"

namespace npuserve::batching {

// One gear of a bucket.
struct BucketGear {
  int64_t rows = 0;
  size_t gear = 0;      // its number in the signature
  int64_t cost_ns = 0;  // of one execution
};

// The gears of one row shape.
struct Bucket {
  std::vector<BucketGear> gears;  // by rows, ascending
  std::vector<size_t> holds;      // the buckets whose requests it can hold, widest first: itself leads
  int64_t row_cost_ns = 0;        // of one row, in the gear that is cheapest a row of all that hold it
  int64_t most_rows = 0;          // that a gear holds of its requests: its own, or one of a bucket that holds it
};

// Immutable after construction; any thread.
class BucketTable {
 public:
  // No buckets: for a model that shares batches by equal shapes alone.
  BucketTable() = default;

  // costs_ns: what each gear takes, by its number in the signature; empty: as many nanoseconds as its inputs have
  // elements, with one more row of the longest. A gear that costs more than one that holds as much is left out.
  // REQUIRES: a signature that batches.
  BucketTable(const core::Signature& signature, std::span<const int64_t> costs_ns);

  // By cost of a row, ascending.
  std::span<const Bucket> buckets() const { return buckets_; }

  // The cheapest bucket that holds rows of these inputs, so many in one gear; none if no gear does. Axis 0 is ignored.
  std::optional<size_t> bucket_of(std::span<const core::TensorView> inputs, int64_t rows = 1) const;

  // As bucket_of(), for the sizes of the inputs' variable axes but the batch, one after another.
  std::optional<size_t> bucket_of(std::span<const int64_t> variable_sizes, int64_t rows = 1) const;

 private:
  struct Axis {
    size_t input;
    size_t axis;
  };

  std::vector<Axis> axes_;  // the variable ones, but the batch
  std::vector<Bucket> buckets_;
  std::vector<std::vector<int64_t>> sizes_;  // of each bucket's variable axes
};

}  // namespace npuserve::batching
