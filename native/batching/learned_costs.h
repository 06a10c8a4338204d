// What batches take, learned from those that ran. A nominal cost comes from a table, or is a count of rows.
#pragma once

#include "batching/instance_loads.h"

namespace npuserve::batching {

// Not synchronized.
class LearnedCosts {
 public:
  // known: whether nominal costs are nanoseconds until something is learned; otherwise nothing is predicted until then.
  explicit LearnedCosts(bool known) : batch_(known ? 1 : 0) {}

  void learn(const Ended& batch) {
    batch_.add(batch.device_ns, batch.nominal);
    if (batch.had_backlog) row_.add(batch.device_ns, batch.useful);
  }

  // Of a batch with that nominal cost.
  double batch_ns(double nominal) const { return nominal * batch_.value(); }

  // Of requests whose nominal costs are these together, when there are enough to fill batches.
  double queued_ns(double useful) const { return useful * (row_.has_value() ? row_.value() : batch_.value()); }

 private:
  // Of two sums that forget: a ratio in which long batches weigh as much as they are long.
  class Ratio {
   public:
    explicit Ratio(double value) : value_(value) {}

    void add(double taken_ns, double nominal) {
      taken_ns_ = kKept * taken_ns_ + taken_ns;
      nominal_ = kKept * nominal_ + nominal;
      if (nominal_ > 0) value_ = taken_ns_ / nominal_;
    }

    bool has_value() const { return nominal_ > 0; }
    double value() const { return value_; }

   private:
    static constexpr double kKept = 0.95;  // a batch: the last twenty count

    double taken_ns_ = 0;
    double nominal_ = 0;
    double value_;
  };

  Ratio batch_;
  Ratio row_{0};
};

}  // namespace npuserve::batching
