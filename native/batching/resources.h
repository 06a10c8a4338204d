// The resources that instances name and share, as Triton's rate limiter has them: an execution needs so many of each,
// and runs only when they are free. A pool is one device's, or of all devices together (global).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace npuserve::batching {

struct ResourceNeed {
  std::string name;
  int64_t count = 0;
  bool is_global = false;

  bool operator==(const ResourceNeed&) const = default;
};

// How many there are of a resource. Of several that name the same pool the largest counts.
struct GivenPool {
  std::string name;
  int64_t count = 0;
  std::optional<int> device{};  // none: on every device; without effect on a global resource
};

// Not synchronized.
class ResourcePools {
 public:
  // given: the size of every pool; empty: a pool has as many as the largest single need of it.
  explicit ResourcePools(std::vector<GivenPool> given = {}) : given_(std::move(given)) {}

  // Counts with the needs of an instance from now on. Throws std::invalid_argument, and counts with nothing, if a pool
  // is too small for ever, or is needed both as a global one and as a device's.
  void add(int device, std::span<const ResourceNeed> needs);

  // Takes back an add(). REQUIRES: nothing of it is taken.
  void remove(int device, std::span<const ResourceNeed> needs);

  // Whether all that is needed is free.
  bool are_free(int device, std::span<const ResourceNeed> needs) const;

  // REQUIRES: are_free().
  void take(int device, std::span<const ResourceNeed> needs);
  void give_back(int device, std::span<const ResourceNeed> needs);

  // Whether two instances need something of the same pool.
  static bool compete(int device, std::span<const ResourceNeed> needs, int other_device,
                      std::span<const ResourceNeed> other_needs);

 private:
  using Key = std::pair<std::string, std::optional<int>>;  // no device: global

  struct Pool {
    std::multiset<int64_t> needs;
    int64_t taken = 0;
  };

  static Key key_of(int device, const ResourceNeed& need);
  void check(int device, const ResourceNeed& need) const;
  int64_t size_of(const Key& key, const Pool& pool) const;
  std::optional<int64_t> given_size(const Key& key) const;

  std::vector<GivenPool> given_;
  std::map<Key, Pool> pools_;
};

}  // namespace npuserve::batching
