#include "batching/adaptive_delay.h"

#include <algorithm>

namespace npuserve::batching {
namespace {

constexpr double kLateShare = 0.01;   // of the answers
constexpr double kStep = 1.0 / 2048;  // of the target, an answer
constexpr double kDecrease = 0.5;
constexpr double kGapWeight = 1.0 / 64;  // of the newest arrival

}  // namespace

AdaptiveDelay::AdaptiveDelay(int64_t target_ns, int64_t initial_ns, int64_t batch_rows)
    : target_ns_(static_cast<double>(target_ns)),
      batch_rows_(static_cast<double>(std::max<int64_t>(1, batch_rows))),
      allowed_ns_(static_cast<double>(std::clamp<int64_t>(initial_ns, 0, target_ns))) {}

void AdaptiveDelay::arrived(int64_t rows, int64_t now_ns) {
  if (has_arrived_) {
    const double gap_ns = static_cast<double>(std::max<int64_t>(0, now_ns - arrived_ns_)) / static_cast<double>(rows);
    row_gap_ns_ += (gap_ns - row_gap_ns_) * (row_gap_ns_ == 0 ? 1 : kGapWeight);
  }
  has_arrived_ = true;
  arrived_ns_ = std::max(arrived_ns_, now_ns);
}

void AdaptiveDelay::answered(int64_t latency_ns, int64_t now_ns) {
  const bool is_late = static_cast<double>(latency_ns) > target_ns_;
  credit_ = std::clamp(credit_ + (is_late ? kLateShare - 1 : kLateShare), -1.0, 1.0);
  if (credit_ >= 0) {
    allowed_ns_ = std::min(target_ns_, allowed_ns_ + kStep * target_ns_);
    return;
  }
  const bool may_lower = !was_lowered_ || static_cast<double>(now_ns - lowered_ns_) >= target_ns_;
  if (!may_lower) return;
  allowed_ns_ *= kDecrease;
  lowered_ns_ = now_ns;
  was_lowered_ = true;
}

int64_t AdaptiveDelay::delay_ns() const {
  if (row_gap_ns_ > allowed_ns_) return 0;
  const double until_full_ns = row_gap_ns_ == 0 ? allowed_ns_ : row_gap_ns_ * (batch_rows_ - 1);
  return static_cast<int64_t>(std::min(allowed_ns_, until_full_ns));
}

}  // namespace npuserve::batching
