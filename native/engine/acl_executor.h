// The executor over AscendCL: one model loaded on one device, one stream, its slots.
//
// Per batch: set the gear if it changed, copy the inputs from pinned memory, execute, copy the outputs back, record the
// slot's event. All but the gear is asynchronous, in order on the one stream.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "acl/context.h"
#include "acl/host_registrar.h"
#include "acl/model.h"
#include "acl/runtime.h"
#include "acl/stream.h"
#include "engine/acl_slot.h"
#include "engine/executor.h"

namespace npuserve::engine {

class AclExecutor final : public Executor {
 public:
  // Loads the OM and allocates the slots. Leaves its own context current. time_stages: whether stages_before_end()
  // tells anything, as far as the driver can. registrar: the device's; none if no inputs are borrowed. Throws
  // acl::Error. REQUIRES: slots >= 1.
  AclExecutor(const std::shared_ptr<acl::Runtime>& runtime, const std::string& path, int device, size_t slots,
              bool time_stages = true, std::shared_ptr<acl::HostRegistrar> registrar = nullptr);

  // Unloads, from any thread. Nothing may be in flight.
  ~AclExecutor() override;

  // Runs every gear once, so that no request is the first. Before anything is launched, on the thread that constructed.
  // Throws acl::Error.
  void warm_up();

  const core::Signature& signature() const override { return signature_; }
  size_t slot_count() const override { return slots_.size(); }
  const SlotBuffers& buffers(size_t slot) const override { return slots_[slot].host; }

  core::Status attach() noexcept override;
  core::Loan borrow_input(size_t slot, size_t input, std::span<const std::byte> memory) noexcept override;
  core::Status launch(size_t slot, size_t gear) noexcept override;
  core::Status wait(size_t slot) noexcept override;
  std::optional<StagesBeforeEnd> stages_before_end(size_t slot) noexcept override;
  core::Status settle() noexcept override;

 private:
  core::Signature read_signature();
  void set_gear(AclSlot& slot, size_t gear);
  void copy_inputs(const AclSlot& slot, size_t gear);
  void copy_outputs(const AclSlot& slot, size_t gear);
  void enqueue(AclSlot& slot, size_t gear);

  const std::shared_ptr<acl::HostRegistrar> registrar_;

  // In the order that makes destruction right: the context goes last.
  acl::Context context_;
  acl::Stream stream_;
  acl::Model model_;
  std::vector<AclSlot> slots_;
  core::Signature signature_;
};

// Loads the OM on the device, reads what it says of itself, unloads it. Throws acl::Error.
core::Signature describe(const std::shared_ptr<acl::Runtime>& runtime, const std::string& path, int device);

}  // namespace npuserve::engine
