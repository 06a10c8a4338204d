#include "engine/ort_executor.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <map>
#include <span>
#include <utility>

#include "core/clock.h"
#include "engine/gear_costs.h"
#include "ort/errors.h"

namespace npuserve::engine {
namespace {

constexpr int kRuns = 3;                       // of which the fastest counts, after one that does not
constexpr int64_t kLongEnoughNs = 50'000'000;  // a run this long is not repeated: it hardly varies

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
  Slot& slot = slots_.front();
  // Zero is a valid token id and a valid mask; what fresh memory holds may be neither.
  for (const std::span<std::byte> input : slot.host.inputs) std::ranges::fill(input, std::byte{0});
  run(slot, gear);
  int64_t best = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < kRuns; ++i) {
    const int64_t start_ns = core::steady_now_ns();
    run(slot, gear);
    best = std::min(best, core::steady_now_ns() - start_ns);
    if (best >= kLongEnoughNs) break;
  }
  return best;
}

// The fewest rows of each row shape are measured whatever the time, as all other rows of it are told from them.
void OrtExecutor::measure_costs(int64_t budget_ns) try {
  const int64_t start_ns = core::steady_now_ns();
  std::vector<MeasuredGear> measured;
  std::map<int64_t, int64_t> row_cost_ns;  // by row shape, in the gear of it that was measured last
  for (const size_t gear : gears_to_measure(signature_)) {
    const GearExtent extent = extent_of(signature_.gears[gear]);
    const auto known = row_cost_ns.find(extent.row_elements);
    if (known != row_cost_ns.end()) {
      const int64_t expected_ns = known->second * extent.rows;
      if (core::steady_now_ns() - start_ns + 2 * expected_ns > budget_ns) continue;
    }
    const int64_t cost_ns = measured_ns(gear);
    measured.push_back({extent, cost_ns});
    row_cost_ns[extent.row_elements] = cost_ns / extent.rows;
  }
  costs_ns_ = costs_of(signature_, measured);
} catch (const ort::Error&) {
  costs_ns_.clear();
}

void OrtExecutor::warm_up(std::vector<int64_t> costs_ns) {
  costs_ns_ = std::move(costs_ns);
  for (const std::span<std::byte> input : slots_.front().host.inputs) std::ranges::fill(input, std::byte{0});
  (void)launch(0, gears_to_measure(signature_).front());
}

}  // namespace npuserve::engine
