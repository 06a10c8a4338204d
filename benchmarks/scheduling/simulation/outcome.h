// What a simulation found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace npuserve::simulation {

struct Outcome {
  size_t requests = 0;
  size_t answered = 0;
  size_t refused = 0;     // at once, by admission
  size_t lost = 0;        // neither answered nor refused
  double throughput = 0;  // answered a second, from the first arrival to the last answer
  double p50_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
  double padding_waste = 0;  // of the tokens that the devices ran
  double utilization = 0;    // of the devices' time
  double mean_rows = 0;      // requests a batch; 0: there are no batches
};

// The value that the share of the latencies does not exceed. Reorders them. REQUIRES: not empty.
double percentile_ms(std::vector<int64_t>& latencies_ns, double share);

// As one JSON object on one line, without a line feed.
std::string to_json(const Outcome& outcome);

}  // namespace npuserve::simulation
