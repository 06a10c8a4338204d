#include "engine/acl_memory.h"

#include <algorithm>

namespace npuserve::engine {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

size_t whole_mib(size_t bytes) { return (bytes + kMiB - 1) / kMiB; }

// The driver adds 32 bytes behind a block, and rounds it to 32.
size_t block_bytes(size_t bytes) { return (std::max<size_t>(1, bytes) + 31) / 32 * 32 + 32; }

std::string text_of(const MemoryUse& need, size_t free_bytes, size_t total_bytes) {
  const auto mib = [](size_t bytes) { return std::to_string(whole_mib(bytes)); };
  return "needs " + mib(need.device_bytes()) + " MiB on device " + std::to_string(need.device) + " (weights " +
         mib(need.weight_bytes) + ", work " + mib(need.work_bytes) + ", buffers " + mib(need.buffer_bytes) + "), but " +
         std::to_string(free_bytes / kMiB) + " MiB of " + std::to_string(total_bytes / kMiB) + " MiB are free";
}

}  // namespace

DoesNotFit::DoesNotFit(const MemoryUse& need, size_t free_bytes, size_t total_bytes)
    : std::runtime_error(text_of(need, free_bytes, total_bytes)) {}

MemoryUse memory_use(int device, size_t instances, const std::optional<acl::ModelSizes>& sizes,
                     const acl::ModelDescription& description, size_t slots) {
  MemoryUse use{.device = device, .instances = instances};
  if (sizes && sizes->weight_bytes > 0) use.weight_bytes = block_bytes(sizes->weight_bytes);
  if (sizes && sizes->work_bytes > 0) use.work_bytes = instances * block_bytes(sizes->work_bytes);
  const size_t count = instances * slots;
  for (size_t i = 0; i < description.inputs.size(); ++i) {
    const size_t bytes = block_bytes(description.inputs[i].size_bytes);
    use.buffer_bytes += count * bytes;
    if (i != description.gear_input) use.pinned_bytes += count * bytes;
  }
  for (const acl::TensorDescription& output : description.outputs) {
    use.buffer_bytes += count * block_bytes(output.size_bytes);
    use.pinned_bytes += count * block_bytes(output.size_bytes);
  }
  return use;
}

std::optional<acl::ModelSizes> known_sizes(acl::Runtime& runtime, const std::string& path) {
  try {
    return acl::Model::sizes_of(runtime, path);
  } catch (const acl::Error& error) {
    if (error.kind() == acl::Error::Kind::kDeviceFatal) throw;
    return std::nullopt;
  }
}

Room::Room(const std::shared_ptr<acl::Runtime>& runtime, const std::string& path, int device, size_t instances,
           size_t slots)
    : context_(runtime, device) {
  const std::optional<acl::ModelSizes> sizes = known_sizes(*runtime, path);
  if (!sizes) return;
  const std::optional<acl::ModelDescription> description = acl::describe_file(*runtime, path);
  memory_ = acl::memory_of_current_device(*runtime);
  if (!description || !memory_) return;
  need_ = memory_use(device, instances, sizes, *description, slots);
  if (memory_->free_bytes < need_->device_bytes()) throw DoesNotFit(*need_, memory_->free_bytes, memory_->total_bytes);
}

// Others may load at the same time, and the driver takes more than what it is asked for.
void Room::refuse_if_out_of_memory(const acl::Error& error) const {
  if (error.kind() != acl::Error::Kind::kOutOfMemory || !need_ || !memory_) return;
  throw DoesNotFit(*need_, memory_->free_bytes, memory_->total_bytes);
}

}  // namespace npuserve::engine
