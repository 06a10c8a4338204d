// The executor that computes nothing: output i is a copy of input i, in host memory, after a set time. For measuring
// and testing what is around a model. Where that time is 0 the requests' inputs are their outputs, and it has no
// memory of its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "core/signature.h"
#include "engine/executor.h"

namespace npuserve::engine {

// An input and the output that copies it.
struct IdentityTensor {
  std::string input;
  std::string output;
  core::Dtype dtype = core::Dtype::kFp32;
  core::Shape dims;  // fixed; without the batch dimension
};

// Gears of 1, 2, 4, ... rows below max_batch_size, and of max_batch_size; one without a batch dimension if that is 0.
// Throws std::invalid_argument for a dimension that is not fixed, an element without a fixed size, a negative
// max_batch_size.
core::Signature identity_signature(const std::vector<IdentityTensor>& tensors, int64_t max_batch_size);

class IdentityExecutor final : public Executor {
 public:
  // execute_delay_ns: what an execution takes, like a device's: executions run one after another, while launch()
  // returns at once. If that is 0, the executor is transparent. REQUIRES: a signature of identity_signature(); slots >=
  // 1; execute_delay_ns >= 0.
  IdentityExecutor(core::Signature signature, size_t slots, int64_t execute_delay_ns);

  const core::Signature& signature() const override { return signature_; }
  size_t slot_count() const override { return slots_.size(); }
  const SlotBuffers& buffers(size_t slot) const override { return slots_[slot].host; }

  std::vector<int64_t> costs_ns() const override;
  bool is_synchronous() const override { return execute_delay_ns_ == 0; }
  bool is_transparent() const override { return is_synchronous(); }
  core::Status attach() noexcept override { return {}; }
  core::Status launch(size_t slot, size_t gear) noexcept override;
  core::Status wait(size_t slot) noexcept override;
  core::Status settle() noexcept override;

 private:
  struct Slot {
    std::vector<std::vector<std::byte>> inputs;
    std::vector<std::vector<std::byte>> outputs;
    SlotBuffers host;
    size_t gear = 0;      // of the execution launched last
    int64_t ends_ns = 0;  // when that has taken its time
  };

  Slot make_slot() const;
  void copy(Slot& slot) const;
  size_t bytes_of(size_t tensor, size_t gear) const;

  const core::Signature signature_;
  const int64_t execute_delay_ns_;
  std::vector<Slot> slots_;
  std::atomic<int64_t> free_ns_ = 0;  // when everything launched so far has taken its time
};

}  // namespace npuserve::engine
