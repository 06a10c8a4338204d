// What each gear of a model costs, told from measurements of some of them: hundreds of gears would take minutes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/signature.h"

namespace npuserve::engine {

// Rows, and how many elements the inputs have in one: what the cost of a gear depends on.
struct GearExtent {
  int64_t rows = 0;
  int64_t row_elements = 0;

  int64_t elements() const { return rows * row_elements; }
};

// REQUIRES: a gear with an input whose axis 0 is not 0; without inputs the extent is 1 row of 0 elements.
GearExtent extent_of(const core::Gear& gear);

struct MeasuredGear {
  GearExtent extent;
  int64_t cost_ns = 0;
};

// The gears worth measuring, the smallest first: of rows and of row shapes those that are about twice the one before,
// and the least and the most.
std::vector<size_t> gears_to_measure(const core::Signature& signature);

// The cost of every gear, and none costs more than a larger one. Of those that were measured, what took longer was
// disturbed. Others are linear between measured rows of one row shape, then between row shapes; more rows than were
// measured of a row shape cost as much each as the last measured ones did, within what larger and smaller gears cost.
// Empty if nothing was measured. REQUIRES: of each row shape that was measured at all, the fewest rows were.
std::vector<int64_t> costs_of(const core::Signature& signature, std::span<const MeasuredGear> measured);

// What gears cost that were all measured: none more than one that holds as much, on every axis of every input.
std::vector<int64_t> undisturbed(const core::Signature& signature, std::span<const int64_t> measured_ns);

}  // namespace npuserve::engine
