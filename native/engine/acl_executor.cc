#include "engine/acl_executor.h"

#include <algorithm>
#include <span>
#include <utility>

#include "acl/copy.h"
#include "acl/errors.h"
#include "core/clock.h"
#include "engine/acl_signature.h"
#include "engine/gear_costs.h"

namespace npuserve::engine {
namespace {

core::Status status_of(const acl::Error& error) {
  const bool lost = error.kind() == acl::Error::Kind::kDeviceFatal;
  return {lost ? core::StatusCode::kUnavailable : core::StatusCode::kInternal, error.what()};
}

// Runs a step that throws what the driver said, as a status.
template <class Step>
core::Status guarded(Step step) noexcept {
  try {
    step();
    return {};
  } catch (const acl::Error& error) {
    return status_of(error);
  } catch (const std::exception& error) {
    return {core::StatusCode::kInternal, error.what()};
  }
}

size_t bytes_of(const core::TensorSpec& spec, const core::Shape& shape) {
  return core::byte_count(shape, core::dtype_size_bytes(spec.dtype));
}

}  // namespace

AclExecutor::AclExecutor(const std::shared_ptr<acl::Runtime>& runtime, const std::string& path, int device,
                         AclExecutorOptions options)
    : options_(std::move(options)),
      context_(runtime, device),
      stream_(*runtime),
      sizes_(known_sizes(*runtime, path)),
      model_(load(path)) {
  const PlacedHere placed(options_.host);
  memory_ = memory_use(device, 1, sizes_, model_.description(), options_.slots);
  slots_.reserve(options_.slots);
  const bool timed = options_.time_stages && acl::Event::can_time(*runtime);
  for (size_t i = 0; i < options_.slots; ++i) slots_.emplace_back(*runtime, model_.description(), timed);
  signature_ = read_signature();
}

AclExecutor::~AclExecutor() {
  // Without the context nothing can be released; each release that fails is counted by the runtime. After a warm-up
  // that failed, work may still be queued on what is about to be given back.
  if (guarded([this] { context_.make_current(); }).ok()) (void)settle();
}

// Into memory of its own, as only then the weights can be shared; the driver allocates where the library is too old.
acl::Model AclExecutor::load(const std::string& path) {
  acl::Runtime& runtime = context_.runtime();
  if (!sizes_) return acl::Model::load_from_file(runtime, path);
  weights_ = options_.weights;
  if (!weights_ && sizes_->weight_bytes > 0) {
    weights_ = std::make_shared<acl::DeviceMemory>(runtime, sizes_->weight_bytes);
  }
  if (sizes_->work_bytes > 0) work_.emplace(runtime, sizes_->work_bytes);
  return acl::Model::load_from_file(runtime, path, {.work = work_ ? &*work_ : nullptr, .weights = weights_.get()});
}

// What the outputs are at each gear is told for the gear that was set last.
core::Signature AclExecutor::read_signature() {
  const acl::ModelDescription& description = model_.description();
  std::vector<std::vector<core::Shape>> output_shapes;
  for (size_t gear = 0; gear < gear_input_shapes(description).size(); ++gear) {
    set_gear(slots_.front(), gear);
    output_shapes.push_back(acl::current_output_dims(context_.runtime(), model_.id()));
  }
  return signature_of(description, output_shapes);
}

void AclExecutor::warm_up(std::vector<int64_t> costs_ns) {
  context_.make_current();
  costs_ns_ = std::move(costs_ns);
  const bool measures = costs_ns_.empty();
  for (size_t gear = 0; gear < signature_.gears.size(); ++gear) {
    run_zeros(gear);
    if (measures) costs_ns_.push_back(run_zeros(gear));
  }
  if (measures) costs_ns_ = undisturbed(signature_, costs_ns_);
}

// Returns how long it took. Zero is a valid token id and a valid mask; what pinned memory holds after its allocation
// may be neither.
int64_t AclExecutor::run_zeros(size_t gear) {
  AclSlot& slot = slots_.front();
  for (const std::span<std::byte> input : slot.host.inputs) std::ranges::fill(input, std::byte{0});
  const int64_t start_ns = core::steady_now_ns();
  enqueue(slot, gear);
  slot.done.synchronize();
  return std::max<int64_t>(1, core::steady_now_ns() - start_ns);
}

core::Status AclExecutor::attach() noexcept {
  core::Status status = guarded([this] { context_.make_current(); });
  return status.ok() ? pin_thread(options_.host) : status;
}

core::Loan AclExecutor::borrow_input(size_t slot, size_t input, std::span<const std::byte> memory) noexcept {
  if (!options_.registrar) return {};
  core::Loan loan = options_.registrar->lend(memory);
  if (loan) slots_[slot].borrowed[input] = memory.data();
  return loan;
}

core::Status AclExecutor::launch(size_t slot, size_t gear) noexcept {
  core::Status status = guarded([&] { enqueue(slots_[slot], gear); });
  std::ranges::fill(slots_[slot].borrowed, nullptr);
  return status;
}

core::Status AclExecutor::wait(size_t slot) noexcept {
  return guarded([&] { slots_[slot].done.synchronize(); });
}

std::optional<StagesBeforeEnd> AclExecutor::stages_before_end(size_t slot) noexcept {
  const AclSlot& ended = slots_[slot];
  if (!ended.stages) return std::nullopt;
  StagesBeforeEnd before;
  const core::Status told = guarded([&] {
    before.h2d_end_ns = acl::Event::elapsed_ns(ended.stages->inputs_copied, ended.done);
    before.execute_end_ns = acl::Event::elapsed_ns(ended.stages->executed, ended.done);
  });
  return told.ok() ? std::optional(before) : std::nullopt;
}

core::Status AclExecutor::settle() noexcept {
  return guarded([this] { stream_.synchronize(); });
}

void AclExecutor::enqueue(AclSlot& slot, size_t gear) {
  set_gear(slot, gear);
  copy_inputs(slot, gear);
  if (slot.stages) slot.stages->inputs_copied.record(stream_);
  model_.execute_async(slot.input_dataset, slot.output_dataset, stream_);
  if (slot.stages) slot.stages->executed.record(stream_);
  copy_outputs(slot, gear);
  slot.done.record(stream_);
}

// The slot's last batch has ended, so nothing reads the gear buffer that this writes.
void AclExecutor::set_gear(AclSlot& slot, size_t gear) {
  const acl::ModelDescription& description = model_.description();
  if (!description.gear_input || slot.gear == gear) return;
  slot.gear.reset();
  if (description.dynamic_batch_gears.empty()) {
    model_.set_input_dynamic_dims(slot.input_dataset, description.dynamic_dims_gears[gear]);
  } else {
    model_.set_dynamic_batch_size(slot.input_dataset, description.dynamic_batch_gears[gear]);
  }
  slot.gear = gear;
}

void AclExecutor::copy_inputs(const AclSlot& slot, size_t gear) {
  for (size_t i = 0; i < slot.inputs.size(); ++i) {
    const TensorBuffers& buffers = slot.inputs[i];
    const size_t bytes = bytes_of(signature_.inputs[i], signature_.gears[gear].input_shapes[i]);
    if (bytes == 0) continue;
    const std::byte* const source = slot.borrowed[i] != nullptr ? slot.borrowed[i] : buffers.host.data();
    acl::copy_async(buffers.device.data(), buffers.device.size_bytes(), source, bytes, acl::CopyKind::kHostToDevice,
                    stream_);
  }
}

void AclExecutor::copy_outputs(const AclSlot& slot, size_t gear) {
  for (size_t i = 0; i < slot.outputs.size(); ++i) {
    const TensorBuffers& buffers = slot.outputs[i];
    const size_t bytes = bytes_of(signature_.outputs[i], signature_.gears[gear].output_shapes[i]);
    if (bytes == 0) continue;
    acl::copy_async(buffers.host.data(), buffers.host.size_bytes(), buffers.device.data(), bytes,
                    acl::CopyKind::kDeviceToHost, stream_);
  }
}

}  // namespace npuserve::engine
