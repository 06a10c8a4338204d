// Random events over a SchedulerCore in virtual time, and the rules that whatever happens must not break.
//
// The run keeps its own account of what waits, in plain containers, and checks every answer of the core against it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "batching/scheduler_core.h"

namespace npuserve::batching::test {

struct Setup {
  SchedulerOptions options;
  std::vector<std::pair<int64_t, int64_t>> gears;  // (rows, length)
  std::vector<int64_t> costs_ns;
  std::vector<int> devices;
  size_t slots = 2;
  bool single_rows = false;  // every request brings one row
};

// What a seed makes of all that can be chosen.
Setup random_setup(uint64_t seed, bool buckets);

class RandomRun {
 public:
  RandomRun(const Setup& setup, uint64_t seed);

  // So many events, then stop() and what is left. Returns the rule that was broken, with where; empty if none was.
  std::string run(int events);

 private:
  // Levels are served in order, and of each the requests that were delayed after the others.
  using Tier = std::pair<int64_t, bool>;

  struct Waiting {
    int64_t rows = 1;
    int64_t length = 0;
    Tier tier{};
    int64_t arrival_ns = 0;
    std::optional<int64_t> deadline_ns{};
    int64_t joined = 0;  // the tier: in order of this
    int64_t passed_over = 0;
    bool delays = false;
  };

  struct Instance {
    std::deque<int64_t> ends_ns{};  // of the batches that execute
    size_t unreleased = 0;          // slots of batches that have ended
    bool held = false;
  };

  void step();
  void submit();
  void cancel();
  void end_due();
  void release_some();
  void hold_some();
  void expire();
  void dispatch();
  bool dispatch_one();
  void drain();

  void launch(size_t instance);
  void check_batch(size_t instance, const TakenBatch& batch, bool was_stopping) const;
  void check_order(const TakenBatch& batch) const;
  void check_lower_tiers_only_fill(const TakenBatch& batch) const;
  void pass_over(const TakenBatch& batch, int64_t delay_ns);
  void check_nobody_waits_in_vain() const;
  void check_accounts() const;

  bool has_free_slot(size_t instance) const;
  bool may_take(size_t instance) const { return has_free_slot(instance) && !instances_[instance].held; }
  bool is_idle(size_t instance) const { return instances_[instance].ends_ns.empty(); }
  int64_t most_rows(int64_t length) const;
  const QueuePolicy& policy_of(int64_t level) const;
  int64_t draw(int64_t least, int64_t most) { return std::uniform_int_distribution<int64_t>(least, most)(random_); }

  Setup setup_;
  BucketTable table_;
  SchedulerCore core_;
  std::mt19937_64 random_;
  std::vector<Instance> instances_;
  std::map<Ticket, Waiting> waiting_;
  int64_t now_ns_ = 0;
  int64_t joined_ = 0;
};

}  // namespace npuserve::batching::test
