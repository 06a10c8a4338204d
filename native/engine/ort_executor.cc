#include "engine/ort_executor.h"

#include <algorithm>
#include <exception>
#include <map>
#include <span>
#include <utility>

#include "core/clock.h"
#include "engine/gear_costs.h"
#include "ort/errors.h"

namespace npuserve::engine {
namespace {

constexpr int kRounds = 8;  // apart from each other, so that what else the machine does hits few of them

size_t bytes_of(const core::TensorSpec& spec, const core::Shape& shape) {
  return core::byte_count(shape, core::dtype_size_bytes(spec.dtype));
}

template <class ShapesOf>
size_t most_bytes(const core::Signature& signature, const core::TensorSpec& spec, size_t tensor, ShapesOf shapes_of) {
  size_t most = 0;
  for (const core::Gear& gear : signature.gears) most = std::max(most, bytes_of(spec, shapes_of(gear)[tensor]));
  return most;
}

}  // namespace

OrtExecutor::OrtExecutor(std::shared_ptr<const ort::Session> session, core::Signature signature, size_t slots)
    : session_(std::move(session)), signature_(std::move(signature)) {
  slots_.reserve(slots);
  for (size_t i = 0; i < slots; ++i) slots_.push_back(make_slot());
}

OrtExecutor::Slot OrtExecutor::make_slot() const {
  Slot slot;
  for (size_t i = 0; i < signature_.inputs.size(); ++i) {
    const auto shapes_of = [](const core::Gear& gear) -> const auto& { return gear.input_shapes; };
    slot.host.inputs.push_back(add_buffer(slot, most_bytes(signature_, signature_.inputs[i], i, shapes_of)));
  }
  for (size_t i = 0; i < signature_.outputs.size(); ++i) {
    const auto shapes_of = [](const core::Gear& gear) -> const auto& { return gear.output_shapes; };
    slot.outputs.push_back(add_buffer(slot, most_bytes(signature_, signature_.outputs[i], i, shapes_of)));
    slot.host.outputs.emplace_back(slot.outputs.back());
  }
  slot.gears.reserve(signature_.gears.size());
  for (const core::Gear& gear : signature_.gears) slot.gears.push_back(make_tensors(slot, gear));
  return slot;
}

// Never null, which a tensor's memory may not be. Not touched, so that a large buffer is there only once it is used.
std::span<std::byte> OrtExecutor::add_buffer(Slot& slot, size_t size_bytes) const {
  slot.memory.push_back(std::make_unique_for_overwrite<std::byte[]>(std::max<size_t>(1, size_bytes)));
  return {slot.memory.back().get(), size_bytes};
}

OrtExecutor::GearTensors OrtExecutor::make_tensors(const Slot& slot, const core::Gear& gear) const {
  GearTensors tensors;
  const auto add = [&](const core::TensorSpec& spec, const core::Shape& shape, std::span<std::byte> memory) {
    return tensors.owned.emplace_back(session_->runtime(), spec.dtype, shape, memory.first(bytes_of(spec, shape)))
        .get();
  };
  for (size_t i = 0; i < signature_.inputs.size(); ++i) {
    tensors.inputs.push_back(add(signature_.inputs[i], gear.input_shapes[i], slot.host.inputs[i]));
  }
  for (size_t i = 0; i < signature_.outputs.size(); ++i) {
    tensors.outputs.push_back(add(signature_.outputs[i], gear.output_shapes[i], slot.outputs[i]));
  }
  return tensors;
}

void OrtExecutor::run(Slot& slot, size_t gear) const {
  GearTensors& tensors = slot.gears[gear];
  session_->run(tensors.inputs, tensors.outputs);
}

core::Status OrtExecutor::launch(size_t slot, size_t gear) noexcept {
  try {
    run(slots_[slot], gear);
    return {};
  } catch (const std::exception& error) {
    return {core::StatusCode::kInternal, error.what()};
  }
}

int64_t OrtExecutor::measured_ns(size_t gear) {
  const int64_t start_ns = core::steady_now_ns();
  run(slots_.front(), gear);
  return core::steady_now_ns() - start_ns;
}

// The fewest rows of each row shape are measured whatever the time, as all other rows of it are told from them. Half
// of the time is for measuring many gears, half for measuring them again: the fastest run counts.
void OrtExecutor::measure_costs(int64_t budget_ns) try {
  fill_inputs();
  const int64_t start_ns = core::steady_now_ns();
  const auto fits = [&](int64_t expected_ns, int64_t limit_ns) {
    return core::steady_now_ns() - start_ns + expected_ns <= limit_ns;
  };
  std::vector<size_t> gears;
  std::vector<MeasuredGear> measured;
  std::map<int64_t, int64_t> row_cost_ns;  // by row shape, in the gear of it that was measured last
  for (const size_t gear : gears_to_measure(signature_)) {
    const GearExtent extent = extent_of(signature_.gears[gear]);
    const auto known = row_cost_ns.find(extent.row_elements);
    if (known != row_cost_ns.end() && !fits(2 * known->second * extent.rows, budget_ns / 2)) continue;
    (void)measured_ns(gear);  // the first run of a shape also plans its memory
    gears.push_back(gear);
    measured.push_back({extent, measured_ns(gear)});
    row_cost_ns[extent.row_elements] = measured.back().cost_ns / extent.rows;
  }
  for (int round = 1; round < kRounds; ++round) {
    for (size_t i = 0; i < gears.size(); ++i) {
      int64_t& best_ns = measured[i].cost_ns;
      if (fits(best_ns, budget_ns)) best_ns = std::min(best_ns, measured_ns(gears[i]));
    }
  }
  costs_ns_ = costs_of(signature_, measured);
} catch (const ort::Error&) {
  costs_ns_.clear();
}

// Zero is a valid token id and a valid mask; what fresh memory holds may be neither.
void OrtExecutor::fill_inputs() {
  for (const std::span<std::byte> input : slots_.front().host.inputs) std::ranges::fill(input, std::byte{0});
}

void OrtExecutor::warm_up(std::vector<int64_t> costs_ns) {
  costs_ns_ = std::move(costs_ns);
  fill_inputs();
  (void)launch(0, gears_to_measure(signature_).front());
}

}  // namespace npuserve::engine
