#include "core_speed.h"

#include <chrono>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

namespace npuserve::simulation {
namespace {

constexpr int64_t kStepNs = 1000;  // of virtual time, between two events

class Treadmill {
 public:
  Treadmill(const batching::SchedulerOptions& options, const GearSet& gears, const Sample& sample)
      : core_(options, gears.buckets(), {0}, 2) {
    const batching::BucketTable table = gears.buckets();
    std::mt19937_64 random(1);
    for (size_t drawn = 0; drawn < kDrawn; ++drawn) {
      const int64_t length = options.buckets ? sample.lengths[random() % sample.lengths.size()] : gears.max_length();
      batching::Arrival arrival{.capacity_rows = gears.capacity(length)};
      if (options.buckets) {
        arrival.bucket = table.bucket_of(std::vector<int64_t>{length}).value();
      } else {
        arrival.row_shape = {length};
      }
      arrivals_.push_back(std::move(arrival));
    }
  }

  void submit(size_t count) {
    for (size_t number = 0; number < count; ++number) {
      batching::Arrival arrival = arrivals_[next_++ % kDrawn];
      arrival.arrival_ns = step();
      if (core_.submit(std::move(arrival), now_ns_).verdict != batching::Verdict::kQueued) {
        throw std::logic_error("a request was refused");
      }
    }
  }

  // Runs a batch and returns its requests.
  size_t run_batch() {
    if (!core_.decide(0, step()).take) throw std::logic_error("an idle instance was given nothing");
    const size_t taken = core_.take(0, now_ns_).tickets.size();
    core_.ended(0, step());
    core_.release_slot(0);
    for (size_t number = 0; number < taken; ++number) core_.answered(kStepNs, now_ns_);
    return taken;
  }

 private:
  static constexpr size_t kDrawn = 65536;

  int64_t step() { return now_ns_ += kStepNs; }

  batching::SchedulerCore core_;
  std::vector<batching::Arrival> arrivals_;
  size_t next_ = 0;
  int64_t now_ns_ = 0;
};

}  // namespace

CoreSpeed measure_core(const batching::SchedulerOptions& options, const GearSet& gears, const Sample& sample,
                       size_t queued, size_t requests) {
  Treadmill treadmill(options, gears, sample);
  treadmill.submit(queued);
  size_t passed = 0;
  size_t batches = 0;
  const auto started = std::chrono::steady_clock::now();
  for (; passed < requests; ++batches) {
    const size_t taken = treadmill.run_batch();
    treadmill.submit(taken);
    passed += taken;
  }
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - started;
  return {.request_ns = spent.count() / static_cast<double>(passed),
          .mean_rows = static_cast<double>(passed) / static_cast<double>(batches)};
}

}  // namespace npuserve::simulation
