// The executor over ONNX Runtime on the CPU: a launch is the execution, on the launching thread. The tensors of every
// gear are views of the slot's memory, made at load: nothing is copied or allocated here per batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/signature.h"
#include "engine/executor.h"
#include "ort/session.h"
#include "ort/tensor.h"

namespace npuserve::engine {

class OrtExecutor final : public Executor {
 public:
  // session: takes the signature's inputs and gives its outputs, in its order; instances may share it.
  // Throws ort::Error, std::invalid_argument for a tensor whose elements have no fixed size.
  // REQUIRES: at least one gear; slots >= 1.
  OrtExecutor(std::shared_ptr<const ort::Session> session, core::Signature signature, size_t slots);

  // Measures what gears take, for about as long, and tells costs_ns() from that. A model that refuses inputs of zeros
  // has no costs. Before anything is launched.
  void measure_costs(int64_t budget_ns);

  // Takes the costs over from an instance of the same model, and runs the model once, so that no request is the first.
  // Before anything is launched.
  void warm_up(std::vector<int64_t> costs_ns);

  const core::Signature& signature() const override { return signature_; }
  size_t slot_count() const override { return slots_.size(); }
  const SlotBuffers& buffers(size_t slot) const override { return slots_[slot].host; }
  std::vector<int64_t> costs_ns() const override { return costs_ns_; }

  bool is_synchronous() const override { return true; }
  core::Status attach() noexcept override { return {}; }
  core::Status launch(size_t slot, size_t gear) noexcept override;
  core::Status wait(size_t /*slot*/) noexcept override { return {}; }
  core::Status settle() noexcept override { return {}; }

 private:
  // Views of a slot's memory in the shapes of one gear.
  struct GearTensors {
    std::vector<ort::Tensor> owned;
    std::vector<const ort::OrtValue*> inputs;
    std::vector<ort::OrtValue*> outputs;
  };

  struct Slot {
    std::vector<std::unique_ptr<std::byte[]>> memory;
    SlotBuffers host;
    std::vector<std::span<std::byte>> outputs;
    std::vector<GearTensors> gears;
  };

  Slot make_slot() const;
  std::span<std::byte> add_buffer(Slot& slot, size_t size_bytes) const;
  GearTensors make_tensors(const Slot& slot, const core::Gear& gear) const;
  void run(Slot& slot, size_t gear) const;
  void fill_inputs();
  int64_t measured_ns(size_t gear);

  const std::shared_ptr<const ort::Session> session_;
  const core::Signature signature_;
  std::vector<Slot> slots_;
  std::vector<int64_t> costs_ns_;
};

}  // namespace npuserve::engine
