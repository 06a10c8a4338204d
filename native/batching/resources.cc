#include "batching/resources.h"

#include <algorithm>
#include <stdexcept>

namespace npuserve::batching {
namespace {

std::string quoted(const std::string& name) { return '"' + name + '"'; }

}  // namespace

ResourcePools::Key ResourcePools::key_of(int device, const ResourceNeed& need) {
  return {need.name, need.is_global ? std::nullopt : std::optional(device)};
}

void ResourcePools::add(int device, std::span<const ResourceNeed> needs) {
  std::span<const ResourceNeed> added = needs.first(0);
  try {
    for (const ResourceNeed& need : needs) {
      check(device, need);
      pools_[key_of(device, need)].needs.insert(need.count);
      added = needs.first(added.size() + 1);
    }
  } catch (...) {
    remove(device, added);
    throw;
  }
}

// Both texts are Triton's.
void ResourcePools::check(int device, const ResourceNeed& need) const {
  const Key key = key_of(device, need);
  for (const auto& [other, pool] : pools_) {
    if (other.first == need.name && other.second.has_value() != key.second.has_value()) {
      throw std::invalid_argument(
          "Resource " + quoted(need.name) +
          " is present as both global and device-specific resource in the model configuration.");
    }
  }
  if (given_.empty()) return;
  const int64_t size = given_size(key).value_or(0);
  if (size < need.count) {
    throw std::invalid_argument("Resource count for " + quoted(need.name) + " is limited to " + std::to_string(size) +
                                " which will prevent scheduling of one or more model instances, the minimum required "
                                "count is " +
                                std::to_string(need.count));
  }
}

void ResourcePools::remove(int device, std::span<const ResourceNeed> needs) {
  for (const ResourceNeed& need : needs) {
    const auto pool = pools_.find(key_of(device, need));
    pool->second.needs.erase(pool->second.needs.find(need.count));
    if (pool->second.needs.empty()) pools_.erase(pool);
  }
}

bool ResourcePools::are_free(int device, std::span<const ResourceNeed> needs) const {
  return std::ranges::all_of(needs, [&](const ResourceNeed& need) {
    const auto pool = pools_.find(key_of(device, need));
    return pool->second.taken + need.count <= size_of(pool->first, pool->second);
  });
}

void ResourcePools::take(int device, std::span<const ResourceNeed> needs) {
  for (const ResourceNeed& need : needs) pools_[key_of(device, need)].taken += need.count;
}

void ResourcePools::give_back(int device, std::span<const ResourceNeed> needs) {
  for (const ResourceNeed& need : needs) pools_[key_of(device, need)].taken -= need.count;
}

bool ResourcePools::compete(int device, std::span<const ResourceNeed> needs, int other_device,
                            std::span<const ResourceNeed> other_needs) {
  return std::ranges::any_of(needs, [&](const ResourceNeed& need) {
    return std::ranges::any_of(
        other_needs, [&](const ResourceNeed& other) { return key_of(device, need) == key_of(other_device, other); });
  });
}

int64_t ResourcePools::size_of(const Key& key, const Pool& pool) const {
  return given_.empty() ? *pool.needs.rbegin() : given_size(key).value_or(0);
}

std::optional<int64_t> ResourcePools::given_size(const Key& key) const {
  std::optional<int64_t> largest;
  for (const GivenPool& pool : given_) {
    const bool meant = pool.name == key.first && (!key.second || !pool.device || pool.device == key.second);
    if (meant) largest = std::max(largest.value_or(0), pool.count);
  }
  return largest;
}

}  // namespace npuserve::batching
