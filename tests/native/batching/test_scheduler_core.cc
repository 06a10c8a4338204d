// The core's events, one after another, in virtual time.
#include "batching/scheduler_core.h"

#include <doctest/doctest.h>

#include <optional>
#include <vector>

#include "core/signature.h"

namespace core = npuserve::core;
using namespace npuserve::batching;

namespace {

constexpr int64_t kMs = 1'000'000;

using Tickets = std::vector<Ticket>;

SchedulerOptions batching(int64_t max_batch_size, int64_t delay_ms = 0) {
  SchedulerOptions options;
  options.batching = {.max_batch_size = max_batch_size,
                      .dynamic_batching = true,
                      .preferred_batch_sizes = {},
                      .max_queue_delay_ns = delay_ms * kMs};
  return options;
}

SchedulerCore make(const SchedulerOptions& options, std::vector<int> devices = {0}, size_t slots = 2) {
  return {options, BucketTable(), std::move(devices), slots};
}

Ticket queue(SchedulerCore& scheduler, Arrival arrival = {}) {
  arrival.capacity_rows = 64;
  const Admission admission = scheduler.submit(arrival, arrival.arrival_ns);
  REQUIRE(admission.verdict == Verdict::kQueued);
  return admission.ticket;
}

}  // namespace

TEST_CASE("an idle instance takes what there is, in order") {
  SchedulerCore scheduler = make(batching(8));
  CHECK(scheduler.decide(0, 0) == Decision{});
  const Ticket first = queue(scheduler);
  const Ticket second = queue(scheduler);
  CHECK(scheduler.decide(0, 0).take);
  const TakenBatch batch = scheduler.take(0, 0);
  CHECK(batch.tickets == Tickets{first, second});
  CHECK_FALSE(batch.gear.has_value());
  CHECK(scheduler.queued() == 0);
}
