// One model version at work: the sink that front ends submit to, over its queue, its batcher and its instances.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "batching/buckets.h"
#include "batching/gears.h"
#include "batching/scheduler_core.h"
#include "core/mutex.h"
#include "core/sink.h"
#include "engine/answer_order.h"
#include "engine/executor.h"
#include "engine/finite_check.h"
#include "engine/instance.h"
#include "engine/layout.h"
#include "engine/model_options.h"
#include "engine/scheduler.h"
#include "engine/statistics.h"

namespace npuserve::engine {

// Any thread.
class Model final : public core::Sink {
 public:
  // executors: one an instance, loaded and warmed up, all of one model and with equally many slots; at least one.
  // Throws std::invalid_argument if the options contradict the model or themselves.
  Model(ModelOptions options, std::vector<std::unique_ptr<Executor>> executors);

  // Closes.
  ~Model() override;

  // A request whose inputs disagree, that no gear holds, or whose parameters are out of range, is answered
  // INVALID_ARGUMENT; a full queue, a wait too long or a closed model, UNAVAILABLE.
  void submit(core::Request request) override;
  void submit_all(std::vector<core::Request> requests) override;
  bool cancel(uint64_t token) override;

  const core::Signature& signature() const { return layout_.signature(); }
  Counters statistics() const;

  // What one execution of each gear takes, by its number in the signature; empty if that was not measured.
  const std::vector<int64_t>& costs_ns() const { return costs_ns_; }
  std::string label_of_gear(size_t gear) const { return layout_.label_of(gear); }

  // Requests queued or executing.
  size_t pending() const { return scheduler_.pending(); }

  // Refuses new requests, answers the accepted ones, unloads. Blocks for that. Idempotent.
  void close();

 private:
  void share_devices(size_t instances);
  int64_t cost_of(const Batch& batch) const;
  std::optional<batching::Arrival> admit(core::Request& request);
  std::string fault_of(const core::Request& request) const;
  std::string misuse_of(const core::Request& request) const;
  const batching::QueuePolicy& policy_of(const core::Request& request) const;
  void refuse(core::Request& request, const Refusal& refusal);
  void answer_expired() noexcept;

  const ModelOptions options_;
  const Layout layout_;
  const batching::GearTable gears_;
  const std::vector<int64_t> costs_ns_;
  const batching::BucketTable buckets_;
  std::optional<FiniteCheck> finite_;  // of answers, if the options ask for it
  Statistics statistics_;
  Scheduler scheduler_;
  AnswerOrder order_;

  core::Mutex close_mutex_;  // held while closing: a second caller returns when the first is done
  std::vector<std::unique_ptr<Instance>> instances_ GUARDED_BY(close_mutex_);
  std::thread expirer_ GUARDED_BY(close_mutex_);  // answers what times out in the queue, if anything does
};

}  // namespace npuserve::engine
