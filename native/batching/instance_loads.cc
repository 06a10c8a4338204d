#include "batching/instance_loads.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace npuserve::batching {

InstanceLoads::InstanceLoads(const std::vector<int>& devices, size_t slots_per_instance) {
  std::map<int, size_t> numbers;
  for (const int device : devices) {
    const size_t number = numbers.try_emplace(device, numbers.size()).first->second;
    Instance& instance = instances_.emplace_back();
    instance.device = number;
    instance.free_slots = slots_per_instance;
    instance.batches.reserve(slots_per_instance);
  }
  devices_.resize(numbers.size());
  left_.resize(numbers.size());
}

std::optional<size_t> InstanceLoads::least_loaded(int64_t now_ns) const {
  tell_left(now_ns);
  std::optional<size_t> least;
  std::tuple<bool, double, double> least_load;
  for (size_t i = 0; i < instances_.size(); ++i) {
    const Instance& instance = instances_[i];
    if (instance.free_slots == 0 || instance.held) continue;
    const std::tuple load(is_executing(i), left_[instance.device], instance.predicted_ns);
    if (least && least_load <= load) continue;
    least = i;
    least_load = load;
  }
  return least;
}

void InstanceLoads::start(size_t instance, const Started& batch, int64_t now_ns) {
  Instance& state = instances_[instance];
  Device& device = devices_[state.device];
  advance(device, now_ns);
  if (state.batches.empty()) {
    ++device.executing;
    state.first_share_ns = device.share_ns;
  }
  --state.free_slots;
  state.batches.push_back(batch);
  state.predicted_ns += batch.predicted_ns;
}

Ended InstanceLoads::end(size_t instance, int64_t now_ns) {
  Instance& state = instances_[instance];
  Device& device = devices_[state.device];
  advance(device, now_ns);
  const Started batch = state.batches.front();
  state.batches.erase(state.batches.begin());
  state.predicted_ns = state.batches.empty() ? 0 : state.predicted_ns - batch.predicted_ns;
  if (state.batches.empty()) --device.executing;
  const double device_ns = device.share_ns - state.first_share_ns;
  state.first_share_ns = device.share_ns;
  return {.predicted_ns = batch.predicted_ns,
          .device_ns = device_ns,
          .nominal = batch.nominal,
          .useful = batch.useful,
          .had_backlog = batch.had_backlog};
}

double InstanceLoads::free_after(double queued_ns, int64_t now_ns) const {
  tell_left(now_ns);
  std::ranges::sort(left_);
  // Fills up the least loaded devices to one level: the level is when one of them is free.
  double level_ns = left_.front();
  size_t filled = 1;
  for (; filled < left_.size(); ++filled) {
    const double room_ns = (left_[filled] - level_ns) * static_cast<double>(filled);
    if (queued_ns <= room_ns) break;
    queued_ns -= room_ns;
    level_ns = left_[filled];
  }
  return level_ns + queued_ns / static_cast<double>(filled);
}

double InstanceLoads::share_ns(const Device& device, int64_t now_ns) const {
  if (device.executing == 0) return device.share_ns;
  const auto passed_ns = static_cast<double>(std::max<int64_t>(0, now_ns - device.advanced_ns));
  return device.share_ns + passed_ns / static_cast<double>(device.executing);
}

void InstanceLoads::advance(Device& device, int64_t now_ns) {
  device.share_ns = share_ns(device, now_ns);
  device.advanced_ns = std::max(device.advanced_ns, now_ns);
}

double InstanceLoads::left_ns(const Instance& instance, int64_t now_ns) const {
  if (instance.batches.empty()) return 0;
  const double got_ns = share_ns(devices_[instance.device], now_ns) - instance.first_share_ns;
  return std::max(0.0, instance.predicted_ns - std::min(got_ns, instance.batches.front().predicted_ns));
}

void InstanceLoads::tell_left(int64_t now_ns) const {
  std::ranges::fill(left_, 0.0);
  for (const Instance& instance : instances_) left_[instance.device] += left_ns(instance, now_ns);
}

}  // namespace npuserve::batching
