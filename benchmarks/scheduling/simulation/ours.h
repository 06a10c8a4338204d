// The server's own scheduler, driven as the engine drives it, in virtual time.
#pragma once

#include <vector>

#include "batching/scheduler_core.h"
#include "contestant.h"

namespace npuserve::simulation {

class Ours final : public Contestant {
 public:
  // pads: the clients pad each sentence to the greatest length. Both references must outlive this.
  Ours(const batching::SchedulerOptions& options, const GearSet& gears, bool pads, Devices& devices);

  bool arrive(const Request& request, int64_t now_ns) override;
  void ended(size_t device, const Batch& batch, int64_t now_ns) override;
  void wake(int64_t now_ns) override { dispatch(now_ns); }
  std::optional<int64_t> wake_at_ns() const override { return wake_at_ns_; }

 private:
  void dispatch(int64_t now_ns);
  void launch(size_t device, int64_t now_ns);
  int64_t sent_length(const Request& request) const { return pads_ ? gears_.max_length() : request.length; }

  const GearSet& gears_;
  const bool buckets_;
  const bool pads_;
  Devices& devices_;
  std::vector<size_t> bucket_of_;  // by length
  batching::SchedulerCore core_;
  std::vector<Request> queued_;  // by ticket
  std::optional<int64_t> wake_at_ns_;
};

}  // namespace npuserve::simulation
