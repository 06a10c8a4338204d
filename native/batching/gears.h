// Which compiled set of shapes runs a batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/signature.h"
#include "core/tensor_view.h"

namespace npuserve::batching {

// A model's gears, cheapest first. Immutable after construction; any thread.
class GearTable {
 public:
  // batched: axis 0 of every input counts rows, and smaller rows are padded on every other axis; otherwise a gear's
  // shapes must be met exactly. REQUIRES: at least one gear; every gear has the signature's inputs and ranks.
  GearTable(core::Signature signature, bool batched);

  // The index, in the signature, of the cheapest gear that holds `rows` rows of the inputs' row shapes.
  // inputs: one per input of the signature, with its rank; axis 0 is ignored if the model batches.
  std::optional<size_t> choose(int64_t rows, std::span<const core::TensorView> inputs) const;

  // The most rows of these row shapes that any gear holds; 0 if none holds even one.
  int64_t most_rows(std::span<const core::TensorView> inputs) const;

  // Why no gear holds `rows` rows of these inputs: the input, the size asked for, the largest gear.
  std::string refusal(int64_t rows, std::span<const core::TensorView> inputs) const;

 private:
  int64_t rows_of(size_t gear) const;
  bool holds(size_t gear, int64_t rows, size_t input, const core::Shape& shape) const;
  bool holds_all(size_t gear, int64_t rows, std::span<const core::TensorView> inputs) const;

  core::Signature signature_;
  bool batched_;
  std::vector<size_t> cheapest_first_;
  std::vector<size_t> most_rows_first_;
};

}  // namespace npuserve::batching
