#include "engine/model_options.h"

#include <algorithm>
#include <stdexcept>

namespace npuserve::engine {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw std::invalid_argument(text); }

void check(const batching::QueuePolicy& policy) {
  if (policy.timeout_ns < 0 || policy.max_size < 0) {
    refuse("the timeout and the size of a queue must be 0 or more");
  }
}

void check_batching(const batching::PolicyOptions& batching) {
  if (batching.max_queue_delay_ns < 0 || batching.max_queue_size < 0) {
    refuse("the queue delay and the queue size must be 0 or more");
  }
  if (batching.dynamic_batching && batching.max_batch_size < 1) {
    refuse("dynamic batching needs a max_batch_size of 1 or more");
  }
  for (const int64_t size : batching.preferred_batch_sizes) {
    if (size < 1 || size > batching.max_batch_size) {
      refuse("preferred batch size " + std::to_string(size) + " is not in 1 to max_batch_size (" +
             std::to_string(batching.max_batch_size) + ")");
    }
  }
}

void check_levels(const batching::SchedulerOptions& options) {
  const auto is_level = [&](int64_t level) { return level >= 1 && level <= options.levels; };
  if (options.levels < 1) refuse("a queue needs 1 priority level or more");
  if (!is_level(options.default_level)) {
    refuse("the default priority level " + std::to_string(options.default_level) + " is not in 1 to " +
           std::to_string(options.levels));
  }
  check(options.default_policy);
  for (const auto& [level, policy] : options.policies) {
    if (!is_level(level)) {
      refuse("there is a queue policy for priority level " + std::to_string(level) + ", which is not in 1 to " +
             std::to_string(options.levels));
    }
    check(policy);
  }
}

void check_order(const ModelOptions& options) {
  if (!options.preserve_ordering) return;
  const batching::SchedulerOptions& scheduling = options.scheduling;
  const bool delays = scheduling.default_policy.delays ||
                      std::ranges::any_of(scheduling.policies, [](const auto& each) { return each.second.delays; });
  if (scheduling.buckets || scheduling.levels > 1 || delays) {
    refuse("requests that overtake others, by buckets, priority levels or delays, contradict the ordering");
  }
}

}  // namespace

ModelOptions checked(ModelOptions options) {
  check_batching(options.scheduling.batching);
  check_levels(options.scheduling);
  check_order(options);
  if (options.scheduling.buckets && !options.scheduling.batching.dynamic_batching) {
    refuse("buckets need dynamic batching");
  }
  if (options.scheduling.max_overtaken < 0 || options.scheduling.max_predicted_wait_ns < 0 ||
      options.scheduling.target_p99_ns < 0) {
    refuse("max_overtaken, the longest wait and the latency to hold must be 0 or more");
  }
  return options;
}

bool times_out(const ModelOptions& options) {
  const auto has_timeout = [](const batching::QueuePolicy& policy) { return policy.timeout_ns > 0; };
  return has_timeout(options.scheduling.default_policy) ||
         std::ranges::any_of(options.scheduling.policies, [&](const auto& each) { return has_timeout(each.second); });
}

}  // namespace npuserve::engine
