// An executor in memory whose device is the test: it multiplies by ten, and runs a batch only when told to (or at
// once).
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/lending.h"
#include "core/mutex.h"
#include "engine/executor.h"

namespace testing {

namespace core = npuserve::core;
namespace engine = npuserve::engine;

// One int32 input "ids" and one output "tenfold" of the same shape [batch, length].
inline core::Signature tenfold(const std::vector<std::pair<int64_t, int64_t>>& gears) {
  core::Signature signature;
  signature.inputs = {{"ids", core::Dtype::kInt32, {-1, -1}}};
  signature.outputs = {{"tenfold", core::Dtype::kInt32, {-1, -1}}};
  for (const auto& [rows, length] : gears) signature.gears.push_back({{{rows, length}}, {{rows, length}}});
  return signature;
}

class ManualDevice;

// What a test sees of an executor, and what outlives it.
struct Launched {
  size_t slot = 0;
  size_t gear = 0;
  std::vector<int32_t> input;  // as the device sees it: the whole gear
  bool borrowed = false;       // read where the request has it, not in the slot
};

class ManualDevice {
 public:
  // Whether executions end by themselves or by run_one().
  explicit ManualDevice(bool automatic = true) : automatic_(automatic) {}

  // Ends the oldest execution that was launched or, if there is none yet, the next.
  void run_one() {
    const core::MutexLock lock(mutex_);
    ++permits_;
    changed_.notify_all();
  }

  // From now on everything ends by itself.
  void run_all() {
    const core::MutexLock lock(mutex_);
    automatic_ = true;
    changed_.notify_all();
  }

  // The nth call (from 1) of "attach", "launch", "wait" or "settle" returns this.
  void fail(const std::string& call, int nth, core::Status status) {
    const core::MutexLock lock(mutex_);
    faults_[{call, nth}] = std::move(status);
  }

  // Blocks until `count` batches have been launched in all.
  void await_launches(size_t count) {
    const core::MutexLock lock(mutex_);
    while (launched_.size() < count) changed_.wait(mutex_);
  }

  std::vector<Launched> launched() {
    const core::MutexLock lock(mutex_);
    return launched_;
  }

  // Memory that the device reads inputs from where they lie.
  core::LendingTable& lending() { return lending_; }

  size_t most_in_flight() {
    const core::MutexLock lock(mutex_);
    return most_in_flight_;
  }

  int calls(const std::string& call) {
    const core::MutexLock lock(mutex_);
    return calls_[call];
  }

 private:
  friend class ManualExecutor;

  core::Status count(const std::string& call) REQUIRES_LOCK(mutex_) {
    const int nth = ++calls_[call];
    const auto fault = faults_.find({call, nth});
    return fault == faults_.end() ? core::Status() : fault->second;
  }

  core::LendingTable lending_;
  core::Mutex mutex_;
  core::ConditionVariable changed_;
  bool automatic_;
  int permits_ = 0;
  size_t in_flight_ = 0;
  size_t most_in_flight_ = 0;
  std::vector<Launched> launched_;
  std::map<std::string, int> calls_;
  std::map<std::pair<std::string, int>, core::Status> faults_;
};

class ManualExecutor final : public engine::Executor {
 public:
  ManualExecutor(ManualDevice& device, core::Signature signature, size_t slots = 2)
      : device_(device), signature_(std::move(signature)), slots_(slots), buffers_(slots) {
    size_t largest = 0;
    for (const core::Gear& gear : signature_.gears) {
      largest = std::max(largest, static_cast<size_t>(core::element_count(gear.input_shapes[0])));
    }
    for (size_t i = 0; i < slots; ++i) {
      slots_[i] = {std::vector<int32_t>(largest, -1), std::vector<int32_t>(largest, -1), nullptr};
      buffers_[i].inputs = {std::as_writable_bytes(std::span(slots_[i].input))};
      buffers_[i].outputs = {std::as_bytes(std::span(slots_[i].output))};
    }
  }

  const core::Signature& signature() const override { return signature_; }
  size_t slot_count() const override { return slots_.size(); }
  const engine::SlotBuffers& buffers(size_t slot) const override { return buffers_[slot]; }

  core::Status attach() noexcept override {
    const core::MutexLock lock(device_.mutex_);
    return device_.count("attach");
  }

  core::Loan borrow_input(size_t slot, size_t /*input*/, std::span<const std::byte> memory) noexcept override {
    core::Loan loan = device_.lending_.lend(memory);
    if (loan) slots_[slot].borrowed = memory.data();
    return loan;
  }

  core::Status launch(size_t slot, size_t gear) noexcept override {
    const core::MutexLock lock(device_.mutex_);
    const auto* const borrowed = reinterpret_cast<const int32_t*>(std::exchange(slots_[slot].borrowed, nullptr));
    const core::Status status = device_.count("launch");
    if (!status.ok()) return status;
    const auto elements = core::element_count(signature_.gears[gear].input_shapes[0]);
    const int32_t* const begin = borrowed != nullptr ? borrowed : slots_[slot].input.data();
    device_.launched_.push_back({slot, gear, {begin, begin + elements}, borrowed != nullptr});
    device_.most_in_flight_ = std::max(device_.most_in_flight_, ++device_.in_flight_);
    running_.push_back(device_.launched_.back());
    device_.changed_.notify_all();
    return status;
  }

  core::Status wait(size_t slot) noexcept override {
    const core::MutexLock lock(device_.mutex_);
    const core::Status status = device_.count("wait");
    if (!status.ok()) return status;
    while (is_running(slot)) run_next();
    return status;
  }

  core::Status settle() noexcept override {
    const core::MutexLock lock(device_.mutex_);
    const core::Status status = device_.count("settle");
    while (!running_.empty()) run_next();
    return status;
  }

 private:
  struct Slot {
    std::vector<int32_t> input;
    std::vector<int32_t> output;
    const std::byte* borrowed = nullptr;  // where the next launch finds its input
  };

  bool is_running(size_t slot) const {
    for (const Launched& batch : running_) {
      if (batch.slot == slot) return true;
    }
    return false;
  }

  void run_next() REQUIRES_LOCK(device_.mutex_) {
    while (!device_.automatic_ && device_.permits_ == 0) device_.changed_.wait(device_.mutex_);
    if (device_.permits_ > 0) --device_.permits_;
    const Launched batch = running_.front();
    running_.pop_front();
    --device_.in_flight_;
    for (size_t i = 0; i < batch.input.size(); ++i) slots_[batch.slot].output[i] = 10 * batch.input[i];
  }

  ManualDevice& device_;
  const core::Signature signature_;
  std::vector<Slot> slots_;
  std::vector<engine::SlotBuffers> buffers_;
  std::deque<Launched> running_;
};

// One executor an instance, all on the one device.
inline std::vector<std::unique_ptr<engine::Executor>> manual_executors(ManualDevice& device,
                                                                       const core::Signature& signature,
                                                                       size_t slots = 2, size_t instances = 1) {
  std::vector<std::unique_ptr<engine::Executor>> made;
  for (size_t i = 0; i < instances; ++i) made.push_back(std::make_unique<ManualExecutor>(device, signature, slots));
  return made;
}

}  // namespace testing
