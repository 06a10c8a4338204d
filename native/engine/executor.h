// What runs batches for an instance: one loaded model on one device, with its slots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/lending.h"
#include "core/signature.h"
#include "core/status.h"

namespace npuserve::engine {

// The host side of a slot, each buffer with room for the largest gear. A gear's tensors lie densely at the start.
struct SlotBuffers {
  std::vector<std::span<std::byte>> inputs;
  std::vector<std::span<const std::byte>> outputs;
};

// How long before the end of a batch its inputs were on the device and the model had run.
struct StagesBeforeEnd {
  int64_t h2d_end_ns = 0;
  int64_t execute_end_ns = 0;
};

// Two threads use an executor side by side, each after attach(): one only launches, the other only waits and settles.
// If it is synchronous, one thread does all of it. Failures are values: UNAVAILABLE if the device is lost, else
// INTERNAL with the driver's text.
class Executor {
 public:
  virtual ~Executor() = default;

  // Constant.
  virtual const core::Signature& signature() const = 0;
  virtual size_t slot_count() const = 0;
  virtual const SlotBuffers& buffers(size_t slot) const = 0;

  // What an execution of each gear took when it was warmed up, by the gear's number; empty if that is not known.
  virtual std::vector<int64_t> costs_ns() const { return {}; }

  // Whether a batch has ended when launch() returns, so that wait() never blocks. Constant.
  virtual bool is_synchronous() const { return false; }

  // Whether output i of a batch is its input i: such an executor is never launched, and the requests' own inputs are
  // delivered. REQUIRES: is_synchronous(). Constant.
  virtual bool is_transparent() const { return false; }

  // Makes the calling thread one that may launch, wait and settle.
  virtual core::Status attach() noexcept = 0;

  // Has the next launch in the slot read an input from `memory` instead of the slot's buffer, where the device can copy
  // from there by itself: empty if it cannot. The loan is for until the batch has ended, or all was settled.
  // REQUIRES: as many bytes as the input has in the gear of that launch.
  virtual core::Loan borrow_input(size_t /*slot*/, size_t /*input*/, std::span<const std::byte> /*memory*/) noexcept {
    return {};
  }

  // Enqueues one batch from and into the slot's buffers behind those launched before; returns at once. After a failure
  // parts of it may still be running: settle() before touching the slot.
  // REQUIRES: the slot's last batch has been waited for.
  virtual core::Status launch(size_t slot, size_t gear) noexcept = 0;

  // Blocks until the slot's batch has ended and its outputs are in the slot. A failure may belong to any batch launched
  // so far: the driver does not say which. Batches are waited for in the order of their launches.
  virtual core::Status wait(size_t slot) noexcept = 0;

  // Of the slot's last batch; none where the device does not tell. REQUIRES: wait() has returned OK, and nothing was
  // launched in the slot since. Called by who waits.
  virtual std::optional<StagesBeforeEnd> stages_before_end(size_t /*slot*/) noexcept { return std::nullopt; }

  // Blocks until nothing that was launched is running. A failure means the same as wait()'s.
  virtual core::Status settle() noexcept = 0;
};

}  // namespace npuserve::engine
