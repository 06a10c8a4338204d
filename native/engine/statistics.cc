#include "engine/statistics.h"

#include <algorithm>

#include "core/clock.h"

namespace npuserve::engine {
namespace {

size_t index_of(FailureReason reason) { return static_cast<size_t>(reason); }

}  // namespace

void DurationCount::add(int64_t duration_ns) {
  ++count;
  // Arrival is stamped by the front end; a sender that stamps it late must not make a sum go backwards.
  if (duration_ns > 0) ns += static_cast<uint64_t>(duration_ns);
}

void DurationCount::add(const DurationCount& other) {
  count += other.count;
  ns += other.ns;
}

void GearCounters::add(const GearCounters& other) {
  executions += other.executions;
  useful += other.useful;
  padding += other.padding;
  cancelled += other.cancelled;
  expired += other.expired;
  empty += other.empty;
}

StatisticsShard::StatisticsShard(bool record, size_t gears, size_t longest) : record_(record) {
  const core::MutexLock lock(mutex_);
  counters_.gears.resize(gears);
  if (longest > 0 && longest <= kMaxCountedLength) counters_.lengths.resize(longest + 1);
}

void StatisticsShard::record_execution(const BatchTiming& timing, const RunGear& gear,
                                       std::span<const Outcome> outcomes) {
  if (!record_) return;
  const int64_t input_ns = timing.launched_ns - timing.start_ns;
  const int64_t wait_ns = timing.device_ns - timing.launched_ns;
  const int64_t infer_ns = timing.ended_ns - timing.device_ns;
  const int64_t output_ns = timing.answered_ns - timing.ended_ns;
  const int64_t wall_ms = core::wall_now_ms();

  const core::MutexLock lock(mutex_);
  int64_t rows = 0;
  for (const Outcome& outcome : outcomes) {
    rows += outcome.rows;
    const int64_t total_ns = timing.answered_ns - outcome.arrival_ns;
    if (!outcome.ok) {
      counters_.fail.add(total_ns);
      ++counters_.failures[index_of(FailureReason::kOther)];
      continue;
    }
    counters_.inference_count += static_cast<uint64_t>(outcome.rows);
    counters_.success.add(total_ns);
    counters_.queue.add(timing.start_ns - outcome.arrival_ns + wait_ns);
    counters_.compute_input.add(input_ns);
    counters_.compute_infer.add(infer_ns);
    counters_.compute_output.add(output_ns);
  }
  counters_.last_inference_ms = wall_ms;
  ++counters_.execution_count;
  counters_.padded_rows += static_cast<uint64_t>(gear.rows - rows);
  BatchCounters& batch = counters_.batches[rows];
  batch.compute_input.add(input_ns);
  batch.compute_infer.add(infer_ns);
  batch.compute_output.add(output_ns);
  record_tokens(gear, outcomes);
}

void StatisticsShard::record_tokens(const RunGear& gear, std::span<const Outcome> outcomes) {
  GearCounters& counted = counters_.gears[gear.number];
  int64_t empty_rows = gear.rows;
  for (const Outcome& outcome : outcomes) {
    const auto own = static_cast<uint64_t>(outcome.rows * outcome.length);
    const bool is_expired = outcome.use == Use::kNobodyExpired;
    const bool is_useful = outcome.ok && outcome.use == Use::kSender;
    (is_expired ? counted.expired : is_useful ? counted.useful : counted.cancelled) += own;
    counted.padding += static_cast<uint64_t>(outcome.rows * gear.length) - own;
    empty_rows -= outcome.rows;
    if (is_useful && !counters_.lengths.empty()) {
      counters_.lengths[static_cast<size_t>(outcome.length)] += static_cast<uint64_t>(outcome.rows);
    }
  }
  counted.empty += static_cast<uint64_t>(empty_rows * gear.length);
  ++counted.executions;
}

void StatisticsShard::record_expirations(std::span<const Outcome> outcomes, int64_t now_ns) {
  if (!record_) return;
  record_failure(outcomes, FailureReason::kRejected, now_ns);
  const core::MutexLock lock(mutex_);
  counters_.expired += outcomes.size();
}

void StatisticsShard::record_failure(std::span<const Outcome> outcomes, FailureReason reason, int64_t now_ns) {
  if (!record_) return;
  const core::MutexLock lock(mutex_);
  for (const Outcome& outcome : outcomes) counters_.fail.add(now_ns - outcome.arrival_ns);
  counters_.failures[index_of(reason)] += outcomes.size();
}

void StatisticsShard::record_rejections(size_t requests) {
  if (!record_) return;
  const core::MutexLock lock(mutex_);
  counters_.failures[index_of(FailureReason::kRejected)] += requests;
}

void StatisticsShard::record_shed(size_t requests) {
  if (!record_) return;
  const core::MutexLock lock(mutex_);
  counters_.shed += requests;
}

void StatisticsShard::add_to(Counters& sum) const {
  const core::MutexLock lock(mutex_);
  sum.last_inference_ms = std::max(sum.last_inference_ms, counters_.last_inference_ms);
  sum.inference_count += counters_.inference_count;
  sum.execution_count += counters_.execution_count;
  sum.success.add(counters_.success);
  sum.fail.add(counters_.fail);
  for (size_t i = 0; i < kFailureReasons; ++i) sum.failures[i] += counters_.failures[i];
  sum.padded_rows += counters_.padded_rows;
  sum.expired += counters_.expired;
  sum.shed += counters_.shed;
  sum.gears.resize(counters_.gears.size());
  for (size_t i = 0; i < counters_.gears.size(); ++i) sum.gears[i].add(counters_.gears[i]);
  sum.lengths.resize(counters_.lengths.size());
  for (size_t i = 0; i < counters_.lengths.size(); ++i) sum.lengths[i] += counters_.lengths[i];
  sum.queue.add(counters_.queue);
  sum.compute_input.add(counters_.compute_input);
  sum.compute_infer.add(counters_.compute_infer);
  sum.compute_output.add(counters_.compute_output);
  for (const auto& [rows, counted] : counters_.batches) {
    BatchCounters& batch = sum.batches[rows];
    batch.compute_input.add(counted.compute_input);
    batch.compute_infer.add(counted.compute_infer);
    batch.compute_output.add(counted.compute_output);
  }
}

Statistics::Statistics(size_t instances, bool record, size_t gears, size_t longest) {
  for (size_t i = 0; i <= instances; ++i) shards_.emplace_back(record, gears, longest);
}

Counters Statistics::snapshot() const {
  Counters sum;
  for (const StatisticsShard& shard : shards_) shard.add_to(sum);
  return sum;
}

}  // namespace npuserve::engine
