// Triton's dynamic batcher, from a description of what Triton does; it shares nothing with native/batching.
//
// One thread a model gathers requests into batches and hands them over to the instances. It works ahead: twice as many
// batches as there are instances may lie ready. The last of these grows until an instance takes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>
#include <vector>

#include "contestant.h"

namespace npuserve::simulation {

struct TritonOptions {
  int64_t max_batch_size = 0;
  std::vector<int64_t> preferred_batch_sizes{};  // empty: max_batch_size alone
  int64_t max_queue_delay_ns = 0;
};

// Requests of one row each, without priorities, timeouts or limits: the batcher that works ahead.
class Triton final : public Contestant {
 public:
  // pads: the clients pad each sentence to the greatest length. The references must outlive this.
  Triton(const TritonOptions& options, const GearSet& gears, bool pads, Devices& devices);

  bool arrive(const Request& request, int64_t now_ns) override;
  void ended(size_t device, const Batch& batch, int64_t now_ns) override;
  void wake(int64_t now_ns) override { run(now_ns); }
  std::optional<int64_t> wake_at_ns() const override { return wake_at_ns_; }

 private:
  struct Ready {
    std::vector<Request> requests;
    bool saturated = false;  // nothing joins it any more
  };

  struct Scan {
    size_t gathered = 0;
    bool has_best = false;
    size_t best = 0;  // how many are gathered up to the last preferred size
    bool saturated = false;
    bool send_now = false;
  };

  enum class Step { kAgain, kWait };

  void run(int64_t now_ns);
  Step step(int64_t now_ns);
  Scan scan(const Ready* current) const;
  void dispatch(Ready* current, const Scan& scan, size_t count);
  void hand_over(int64_t now_ns);
  void swallow(Ready& taken, int64_t now_ns);
  Ready* current();

  bool is_preferred(size_t rows) const { return preferred_.contains(static_cast<int64_t>(rows)); }
  int64_t sent_length(const Request& request) const { return pads_ ? gears_.max_length() : request.length; }

  const size_t max_rows_;
  const std::set<int64_t> preferred_;
  const size_t largest_preferred_;
  const int64_t delay_ns_;
  const GearSet& gears_;
  const bool pads_;
  Devices& devices_;

  std::deque<Request> queue_;
  std::deque<Ready> ready_;
  std::optional<int64_t> wake_at_ns_;
};

}  // namespace npuserve::simulation
