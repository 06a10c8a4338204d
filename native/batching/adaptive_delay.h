// Adjusts the queue delay so that a stated latency is held by 99 of 100 answers.
//
// Additive increase, multiplicative decrease. Each answer within the target earns a hundredth of a credit, each later
// one costs a whole credit: the balance stays level where exactly one of a hundred is late. While it is not overdrawn
// the delay grows a little with each answer, towards the target; once it is, the delay is halved, at most once in the
// time of the target, as what was queued under the longer delay is still to be answered.
//
// A delay is spent on waiting for requests to share a batch with. It is never longer than a whole batch takes to
// arrive, and none at all if no second request is expected within it: when traffic is thin, waiting gains nothing.
#pragma once

#include <algorithm>
#include <cstdint>

namespace npuserve::batching {

// A pure controller; time comes in as arguments. Not synchronized.
class AdaptiveDelay {
 public:
  // initial_ns: the delay to begin with. batch_rows: of a full batch. REQUIRES: target_ns > 0.
  AdaptiveDelay(int64_t target_ns, int64_t initial_ns, int64_t batch_rows);

  void arrived(int64_t rows, int64_t now_ns);
  void answered(int64_t latency_ns, int64_t now_ns);

  // How long to wait for requests to share a batch with.
  int64_t delay_ns() const;

  // How long a request may be left waiting for the sake of others; never 0.
  int64_t allowance_ns() const { return std::max<int64_t>(1, static_cast<int64_t>(allowed_ns_)); }

 private:
  const double target_ns_;
  const double batch_rows_;
  double allowed_ns_;       // what the answers allow
  double credit_ = 0;       // in -1 to 1
  double row_gap_ns_ = 0;   // between the arrivals of two rows; 0: not known yet
  int64_t arrived_ns_ = 0;  // the last arrival
  bool has_arrived_ = false;
  int64_t lowered_ns_ = 0;  // when it was last lowered
  bool was_lowered_ = false;
};

}  // namespace npuserve::batching
