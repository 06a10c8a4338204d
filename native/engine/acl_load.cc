#include "engine/acl_load.h"

#include <map>
#include <utility>

#include "engine/acl_executor.h"

namespace npuserve::engine {
namespace {

using Executors = std::vector<std::unique_ptr<AclExecutor>>;

std::map<int, std::vector<size_t>> places_by_device(const std::vector<AclPlace>& places) {
  std::map<int, std::vector<size_t>> by_device;
  for (size_t i = 0; i < places.size(); ++i) by_device[places[i].device].push_back(i);
  return by_device;
}

MemoryUse sum_of(const Executors& executors, const std::vector<size_t>& indices) {
  MemoryUse sum = executors[indices.front()]->memory();
  const bool shares = executors[indices.front()]->weights() != nullptr;
  for (size_t i = 1; i < indices.size(); ++i) {
    const MemoryUse& use = executors[indices[i]]->memory();
    ++sum.instances;
    if (!shares) sum.weight_bytes += use.weight_bytes;
    sum.work_bytes += use.work_bytes;
    sum.buffer_bytes += use.buffer_bytes;
    sum.pinned_bytes += use.pinned_bytes;
  }
  return sum;
}

}  // namespace

LoadedOm load_om(const std::shared_ptr<acl::Runtime>& runtime, const std::string& path,
                 const std::vector<AclPlace>& places, size_t slots, bool time_stages) {
  for (const AclPlace& place : places) check(place.host);
  const std::map<int, std::vector<size_t>> by_device = places_by_device(places);
  // All devices are asked before any is filled.
  std::map<int, Room> rooms;
  for (const auto& [device, indices] : by_device) {
    rooms.try_emplace(device, runtime, path, device, indices.size(), slots);
  }
  Executors executors(places.size());
  for (const auto& [device, indices] : by_device) {
    rooms.at(device).fill([&] {
      for (const size_t i : indices) {
        executors[i] = std::make_unique<AclExecutor>(
            runtime, path, device,
            AclExecutorOptions{.slots = slots,
                               .time_stages = time_stages,
                               .registrar = places[i].registrar,
                               .weights = i == indices.front() ? nullptr : executors[indices.front()]->weights(),
                               .host = places[i].host});
      }
    });
  }
  // Each load writes the weights that it shares, so nothing runs before the last one.
  LoadedOm loaded;
  for (const auto& [device, indices] : by_device) {
    rooms.at(device).fill([&] {
      for (const size_t i : indices) executors[i]->warm_up(executors[indices.front()]->costs_ns());
    });
    loaded.memory.push_back(sum_of(executors, indices));
  }
  for (std::unique_ptr<AclExecutor>& executor : executors) loaded.executors.push_back(std::move(executor));
  return loaded;
}

core::Signature describe(const std::shared_ptr<acl::Runtime>& runtime, const std::string& path, int device) {
  const Room room(runtime, path, device, 1, 1);
  core::Signature signature;
  room.fill([&] { signature = AclExecutor(runtime, path, device, {.time_stages = false}).signature(); });
  return signature;
}

}  // namespace npuserve::engine
