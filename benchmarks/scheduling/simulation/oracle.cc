#include "oracle.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <utility>
#include <vector>

namespace npuserve::simulation {
namespace {

// What the bound needs of a request.
struct Work {
  int64_t arrival_ns = 0;
  double share_ns = 0;  // its share of a full gear, on the device that works as fast as all
};

// How often the limit is halved: to a part in a million of the longest latency.
constexpr int kHalvings = 20;

// The requests that are late whatever a scheduler does, if an answer is late after limit_ns.
size_t late(const std::vector<Work>& works, double limit_ns) {
  size_t count = 0;
  double left_ns = 0;
  int64_t last_ns = 0;
  std::priority_queue<double> period;  // what is served of the busy period, the longest first
  for (const Work& work : works) {
    left_ns -= static_cast<double>(work.arrival_ns - last_ns);
    last_ns = work.arrival_ns;
    if (left_ns <= 0) {
      left_ns = 0;
      period = {};
    }
    left_ns += work.share_ns;
    period.push(work.share_ns);
    if (left_ns <= limit_ns) continue;
    left_ns -= period.top();
    period.pop();
    ++count;
  }
  return count;
}

double longest_ns(const std::vector<Work>& works, double& left_ns) {
  double longest = 0;
  int64_t last_ns = 0;
  left_ns = 0;
  for (const Work& work : works) {
    left_ns = std::max(0.0, left_ns - static_cast<double>(work.arrival_ns - last_ns)) + work.share_ns;
    last_ns = work.arrival_ns;
    longest = std::max(longest, left_ns);
  }
  return longest;
}

double percentile_ns(const std::vector<Work>& works, double share, double longest) {
  const double rank = std::ceil(share * static_cast<double>(works.size()));
  const size_t allowed = works.size() - static_cast<size_t>(rank);
  double enough_ns = longest;
  double short_ns = 0;
  for (int halving = 0; halving < kHalvings; ++halving) {
    const double middle = (enough_ns + short_ns) / 2;
    (late(works, middle) <= allowed ? enough_ns : short_ns) = middle;
  }
  return short_ns;
}

}  // namespace

Outcome bound(Traffic traffic, const GearSet& gears, size_t devices) {
  Outcome outcome;
  std::vector<Work> works;
  std::vector<int64_t> least_ns;
  double useful = 0;
  double run = 0;
  double share_ns = 0;
  for (; !traffic.ended(); traffic.pop()) {
    const Request& request = traffic.front();
    const double row_ns = gears.cheapest_row_ns(request.length);
    works.push_back({request.arrival_ns, row_ns / static_cast<double>(devices)});
    least_ns.push_back(gears.cheapest(1, request.length).cost_ns);
    useful += request.length;
    run += static_cast<double>(gears.cheapest_row_length(request.length));
    share_ns += works.back().share_ns;
  }
  outcome.requests = works.size();
  outcome.answered = works.size();
  if (works.empty()) return outcome;

  double left_ns = 0;
  const double longest = longest_ns(works, left_ns);
  const auto arrivals_ns = static_cast<double>(works.back().arrival_ns - works.front().arrival_ns);
  const double span_ns = arrivals_ns + std::max(left_ns, static_cast<double>(least_ns.back()));
  outcome.throughput = static_cast<double>(works.size()) / span_ns * 1e9;
  outcome.p50_ms = std::max(percentile_ns(works, 0.5, longest) / 1e6, percentile_ms(least_ns, 0.5));
  outcome.p99_ms = std::max(percentile_ns(works, 0.99, longest) / 1e6, percentile_ms(least_ns, 0.99));
  outcome.max_ms = std::max(longest / 1e6, percentile_ms(least_ns, 1));
  outcome.padding_waste = 1 - useful / run;
  outcome.utilization = share_ns / span_ns;
  return outcome;
}

}  // namespace npuserve::simulation
