// What no scheduler can beat, even one that knows the future.
//
// Two facts bound any scheduler that runs these requests in these gears on N devices:
//
//   (1) A request takes a share of some device's time that is no less than w = the least cost a row of any gear that
//       holds it: a batch of k requests in a gear of r rows has k <= r, so their shares are at least its cost / r.
//   (2) It is answered no sooner than e = the least cost of any gear that holds it, after it arrived.
//
// By (1) the N devices do no better than one that works N times as fast, on one request at a time, each taking w, with
// every interruption free. By this relaxation:
//
//   - throughput: that device, never idle while there is work, ends first; no scheduler answers all sooner.
//   - the longest latency: serving in order of arrival minimises it.
//   - a percentile of latency: for a limit x, count the requests that must be late, by Moore and Hodgson's rule: serve
//     in order of arrival, and whenever one would be late, drop the one that takes longest of the busy period so far.
//     That is the least possible number if all requests of a busy period were there at its start, as the scheduler who
//     knows the future may pretend. The bound is the least x for which no more than the percentile allows are late.
//
// By (2) no percentile of latency is below that of e; of the two bounds the greater holds.
#pragma once

#include "gears.h"
#include "outcome.h"
#include "traffic.h"

namespace npuserve::simulation {

// A bound each: the figures are not of one schedule. padding_waste is that of each request alone in a row of the gear
// that is cheapest a row; utilization that of the relaxed device.
Outcome bound(Traffic traffic, const GearSet& gears, size_t devices);

}  // namespace npuserve::simulation
