#include "devices.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace npuserve::simulation {

void Devices::launch(size_t device, std::vector<Request> requests, const Gear& gear, int64_t now_ns) {
  if (requests.empty() || static_cast<int64_t>(requests.size()) > gear.rows) {
    throw std::logic_error("a batch of " + std::to_string(requests.size()) + " requests for a gear of " +
                           std::to_string(gear.rows) + " rows");
  }
  for (const Request& request : requests) {
    if (request.length > gear.length) throw std::logic_error("a request is longer than the gear that is to run it");
    useful_tokens_ += request.length;
  }
  const int64_t end_ns = std::max(now_ns, free_at_ns_[device]) + gear.cost_ns;
  free_at_ns_[device] = end_ns;
  ++batches_;
  tokens_ += gear.tokens();
  busy_ns_ += gear.cost_ns;
  queues_[device].push_back({std::move(requests), gear, end_ns});
}

std::optional<size_t> Devices::next() const {
  std::optional<size_t> first;
  for (size_t device = 0; device < size(); ++device) {
    if (!idle(device) && (!first || next_end_ns(device) < next_end_ns(*first))) first = device;
  }
  return first;
}

int64_t Devices::work_left_ns(size_t device, int64_t now_ns) const {
  return std::max<int64_t>(0, free_at_ns_[device] - now_ns);
}

Batch Devices::pop(size_t device) {
  Batch ended = std::move(queues_[device].front());
  queues_[device].pop_front();
  return ended;
}

}  // namespace npuserve::simulation
