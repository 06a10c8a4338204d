// The executor over AscendCL: one model loaded on one device, one stream, its slots.
//
// Per batch: set the gear if it changed, copy the inputs from pinned memory, execute, copy the outputs back, record the
// slot's event. All but the gear is asynchronous, in order on the one stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "acl/context.h"
#include "acl/host_registrar.h"
#include "acl/memory.h"
#include "acl/model.h"
#include "acl/runtime.h"
#include "acl/stream.h"
#include "engine/acl_memory.h"
#include "engine/acl_slot.h"
#include "engine/executor.h"
#include "engine/host_policy.h"

namespace npuserve::engine {

struct AclExecutorOptions {
  size_t slots = 1;                                    // at least 1
  bool time_stages = true;                             // stages_before_end() tells something, as far as the driver can
  std::shared_ptr<acl::HostRegistrar> registrar{};     // the device's; none: no inputs are borrowed
  std::shared_ptr<const acl::DeviceMemory> weights{};  // of another executor of the OM on the device, to be shared
  HostPolicy host{};
};

class AclExecutor final : public Executor {
 public:
  // Loads the OM and allocates the slots. Leaves its own context current. Throws acl::Error.
  AclExecutor(const std::shared_ptr<acl::Runtime>& runtime, const std::string& path, int device,
              AclExecutorOptions options = {});

  // Unloads, from any thread. Nothing may be in flight.
  ~AclExecutor() override;

  // Runs every gear once, so that no request is the first, and then once more to see what it costs; with costs_ns,
  // those of an executor like this one, that is not repeated. Before anything is launched, and after all that share its
  // weights are constructed. Throws acl::Error.
  void warm_up(std::vector<int64_t> costs_ns = {});

  // What others of the OM on this device may share; null if the library does not let them.
  std::shared_ptr<const acl::DeviceMemory> weights() const { return weights_; }

  // With the weights, whoever else shares them.
  const MemoryUse& memory() const { return memory_; }

  const core::Signature& signature() const override { return signature_; }
  size_t slot_count() const override { return slots_.size(); }
  const SlotBuffers& buffers(size_t slot) const override { return slots_[slot].host; }
  std::vector<int64_t> costs_ns() const override { return costs_ns_; }

  core::Status attach() noexcept override;
  core::Loan borrow_input(size_t slot, size_t input, std::span<const std::byte> memory) noexcept override;
  core::Status launch(size_t slot, size_t gear) noexcept override;
  core::Status wait(size_t slot) noexcept override;
  std::optional<StagesBeforeEnd> stages_before_end(size_t slot) noexcept override;
  core::Status settle() noexcept override;

 private:
  acl::Model load(const std::string& path);
  core::Signature read_signature();
  int64_t run_zeros(size_t gear);
  void set_gear(AclSlot& slot, size_t gear);
  void copy_inputs(const AclSlot& slot, size_t gear);
  void copy_outputs(const AclSlot& slot, size_t gear);
  void enqueue(AclSlot& slot, size_t gear);

  const AclExecutorOptions options_;

  // In the order that makes destruction right: the context goes last, memory after the model that lies in it.
  acl::Context context_;
  acl::Stream stream_;
  std::optional<acl::ModelSizes> sizes_;
  std::shared_ptr<const acl::DeviceMemory> weights_;
  std::optional<acl::DeviceMemory> work_;
  MemoryUse memory_;
  acl::Model model_;
  std::vector<AclSlot> slots_;
  core::Signature signature_;
  std::vector<int64_t> costs_ns_;
};

}  // namespace npuserve::engine
