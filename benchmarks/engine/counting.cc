// What the statistics cost a request: an execution of so many requests is counted over and over, by one thread, as an
// instance does. Prints, for each number, nanoseconds a request with the counters on and off.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "engine/statistics.h"

namespace {

using npuserve::engine::BatchTiming;
using npuserve::engine::Outcome;
using npuserve::engine::Statistics;

double nanoseconds_a_request(size_t requests, bool record) {
  constexpr int kExecutions = 1'000'000;
  Statistics statistics(1, record);
  const std::vector<Outcome> outcomes(requests, Outcome{.arrival_ns = 5, .rows = 1, .ok = true});
  BatchTiming timing{.start_ns = 10, .launched_ns = 20, .device_ns = 20, .ended_ns = 30, .answered_ns = 40};
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kExecutions; ++i) {
    timing.answered_ns += i & 7;  // so that nothing is constant
    statistics.of_instance(0).record_execution(timing, {.number = 0, .rows = 64, .length = 1}, outcomes);
  }
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
  return taken.count() / kExecutions / static_cast<double>(requests);
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const auto requests = static_cast<size_t>(std::strtoul(argv[i], nullptr, 10));
    if (requests == 0) return 1;
    std::printf("%zu %.2f %.2f\n", requests, nanoseconds_a_request(requests, true),
                nanoseconds_a_request(requests, false));
  }
  return 0;
}
