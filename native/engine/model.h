// One model version at work: the sink that front ends submit to, over its queue, its batcher and its instances.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "batching/gears.h"
#include "batching/policy.h"
#include "core/mutex.h"
#include "core/sink.h"
#include "engine/executor.h"
#include "engine/instance.h"
#include "engine/layout.h"
#include "engine/scheduler.h"
#include "engine/statistics.h"

namespace npuserve::engine {

struct ModelOptions {
  batching::PolicyOptions batching;
  // Per output, the axes of its full shape that follow a request's own length.
  std::vector<std::vector<int64_t>> variable_output_axes;
  bool record_statistics = true;  // false: all counters stay zero, so that what counting costs can be measured
};

// Any thread.
class Model final : public core::Sink {
 public:
  // executors: one an instance, loaded and warmed up, all of one model and with equally many slots; at least one.
  // Throws std::invalid_argument if the options contradict the model or themselves.
  Model(ModelOptions options, std::vector<std::unique_ptr<Executor>> executors);

  // Closes.
  ~Model() override;

  // A request whose inputs disagree, or that no gear holds, is answered INVALID_ARGUMENT; a full queue or a closed
  // model, UNAVAILABLE.
  void submit(core::Request request) override;
  void submit_all(std::vector<core::Request> requests) override;
  bool cancel(uint64_t token) override;

  const core::Signature& signature() const { return layout_.signature(); }
  Counters statistics() const;

  // Requests queued or executing.
  size_t pending() const { return scheduler_.pending(); }

  // Refuses new requests, answers the accepted ones, unloads. Blocks for that. Idempotent.
  void close();

 private:
  std::optional<batching::Waiting> admit(core::Request& request) const;
  void refuse(std::span<core::Request> requests, Refusal refusal);

  const ModelOptions options_;
  const Layout layout_;
  const batching::GearTable gears_;
  Statistics statistics_;
  Scheduler scheduler_;

  core::Mutex close_mutex_;  // held while closing: a second caller returns when the first is done
  std::vector<std::unique_ptr<Instance>> instances_ GUARDED_BY(close_mutex_);
};

}  // namespace npuserve::engine
