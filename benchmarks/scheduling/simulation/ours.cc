#include "ours.h"

#include <numeric>
#include <stdexcept>
#include <utility>

namespace npuserve::simulation {
namespace {

constexpr size_t kSlots = 2;

std::vector<int> numbered(size_t devices) {
  std::vector<int> numbers(devices);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

}  // namespace

Ours::Ours(const batching::SchedulerOptions& options, const GearSet& gears, bool pads, Devices& devices)
    : gears_(gears),
      buckets_(options.buckets),
      pads_(pads),
      devices_(devices),
      core_(options, gears.buckets(), numbered(devices.size()), kSlots) {
  const batching::BucketTable table = gears.buckets();
  for (int64_t length = 0; length <= gears.max_length(); ++length) {
    bucket_of_.push_back(table.bucket_of(std::vector<int64_t>{length}).value());
  }
}

bool Ours::arrive(const Request& request, int64_t now_ns) {
  const int64_t length = sent_length(request);
  batching::Arrival arrival{.arrival_ns = now_ns, .capacity_rows = gears_.capacity(length)};
  if (buckets_) {
    arrival.bucket = bucket_of_[static_cast<size_t>(length)];
  } else {
    arrival.row_shape = {length};
  }
  const batching::Admission admission = core_.submit(std::move(arrival), now_ns);
  if (admission.verdict != batching::Verdict::kQueued) return false;
  if (admission.ticket >= queued_.size()) queued_.resize(admission.ticket + 1);
  queued_[admission.ticket] = request;
  dispatch(now_ns);
  return true;
}

void Ours::ended(size_t device, const Batch& batch, int64_t now_ns) {
  core_.ended(device, now_ns);
  core_.release_slot(device);
  for (const Request& request : batch.requests) core_.answered(now_ns - request.arrival_ns, now_ns);
  dispatch(now_ns);
}

void Ours::dispatch(int64_t now_ns) {
  for (;;) {
    wake_at_ns_.reset();
    const std::optional<size_t> device = core_.next_instance(now_ns);
    if (!device) return;
    const batching::Decision decision = core_.decide(*device, now_ns);
    wake_at_ns_ = decision.wake_at_ns;
    if (!decision.take) return;
    launch(*device, now_ns);
  }
}

void Ours::launch(size_t device, int64_t now_ns) {
  const batching::TakenBatch taken = core_.take(device, now_ns);
  if (taken.tickets.empty()) throw std::logic_error("the scheduler announced a batch and gave none");
  std::vector<Request> requests;
  requests.reserve(taken.tickets.size());
  for (const batching::Ticket ticket : taken.tickets) requests.push_back(queued_[ticket]);
  const auto rows = static_cast<int64_t>(requests.size());
  const Gear& gear = taken.gear ? gears_[*taken.gear] : gears_.cheapest(rows, sent_length(requests.front()));
  devices_.launch(device, std::move(requests), gear, now_ns);
}

}  // namespace npuserve::simulation
