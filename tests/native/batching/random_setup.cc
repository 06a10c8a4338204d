// What can be chosen, chosen at random.
#include <algorithm>
#include <random>

#include "batching/random_run.h"

namespace npuserve::batching::test {
namespace {

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}

  int64_t between(int64_t least, int64_t most) { return std::uniform_int_distribution<int64_t>(least, most)(random_); }
  bool one_in(int64_t chances) { return between(1, chances) == 1; }

 private:
  std::mt19937_64 random_;
};

QueuePolicy random_policy(Dice& dice) {
  QueuePolicy policy;
  if (dice.one_in(2)) policy.timeout_ns = dice.between(1, 600);
  policy.allows_override = dice.one_in(2);
  policy.delays = dice.one_in(2);
  if (dice.one_in(3)) policy.max_size = dice.between(1, 12);
  return policy;
}

// Some of the shapes, one of the greatest length among them. Costs grow with the shape, or are anything.
void add_gears(Setup& setup, Dice& dice) {
  const bool orderly = dice.one_in(2);
  const int64_t longest_rows = int64_t{1} << dice.between(0, 3);
  for (const int64_t length : {8, 16, 32}) {
    for (const int64_t rows : {1, 2, 4, 8}) {
      const bool needed = length == 32 && rows == longest_rows;
      if (!needed && dice.one_in(2)) continue;
      setup.gears.emplace_back(rows, length);
      setup.costs_ns.push_back(orderly ? std::max<int64_t>(20, rows * length) : dice.between(1, 200));
    }
  }
}

}  // namespace

Setup random_setup(uint64_t seed, bool buckets) {
  Dice dice(seed);
  Setup setup;
  add_gears(setup, dice);
  setup.single_rows = dice.one_in(2);
  setup.slots = static_cast<size_t>(dice.between(1, 3));
  const int64_t instances = dice.between(1, 4);
  for (int64_t number = 0; number < instances; ++number) setup.devices.push_back(static_cast<int>(dice.between(0, 2)));

  SchedulerOptions& options = setup.options;
  options.buckets = buckets;
  options.max_overtaken = dice.between(0, 6);
  options.batching.dynamic_batching = buckets || !dice.one_in(5);
  options.batching.max_batch_size = dice.one_in(2) ? 8 : dice.between(1, 8);
  if (dice.one_in(2)) options.batching.max_queue_delay_ns = dice.between(1, 300);
  if (dice.one_in(4)) options.batching.max_queue_size = dice.between(1, 30);
  if (dice.one_in(3)) {
    options.batching.preferred_batch_sizes.push_back(dice.between(1, options.batching.max_batch_size));
  }
  if (dice.one_in(2)) {
    options.levels = dice.between(1, 4);
    options.default_level = dice.between(1, options.levels);
    options.default_policy = random_policy(dice);
    for (int64_t level = 1; level <= options.levels; ++level) {
      if (dice.one_in(2)) options.policies[level] = random_policy(dice);
    }
  }
  if (dice.one_in(5)) options.max_predicted_wait_ns = dice.between(1, 500);
  if (dice.one_in(5)) options.target_p99_ns = dice.between(1, 500);
  return setup;
}

}  // namespace npuserve::batching::test
