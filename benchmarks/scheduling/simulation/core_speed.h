// What the scheduler's own decisions cost.
#pragma once

#include <cstddef>

#include "batching/scheduler_core.h"
#include "gears.h"
#include "traffic.h"

namespace npuserve::simulation {

struct CoreSpeed {
  double request_ns =
      0;  // of the processor, for all events of a request: submit, decide, take, ended, release, answered
  double mean_rows = 0;  // requests a batch
};

// Keeps so many requests queued at one busy instance while `requests` pass through.
// REQUIRES: queued > 0.
CoreSpeed measure_core(const batching::SchedulerOptions& options, const GearSet& gears, const Sample& sample,
                       size_t queued, size_t requests);

}  // namespace npuserve::simulation
