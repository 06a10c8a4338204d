// Where on the host an instance's threads run, and from which NUMA node its host memory comes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/status.h"

namespace npuserve::engine {

struct HostPolicy {
  std::vector<int> cores{};        // empty: those of the node, or all
  std::optional<int> numa_node{};  // none: as the kernel chooses

  bool is_empty() const { return cores.empty() && !numa_node; }
};

// Checks it against the machine. Throws std::invalid_argument that names a core or a node that there is not, or that
// this process may not use.
void check(const HostPolicy& policy);

// Has the calling thread run where the policy says, for good. REQUIRES: a checked policy.
core::Status pin_thread(const HostPolicy& policy) noexcept;

// While it lives, the calling thread runs and allocates where the policy says. A kernel that does not let the process
// choose nodes, as in many containers, still takes memory of the node that first touches it: where the thread runs.
class PlacedHere {
 public:
  explicit PlacedHere(const HostPolicy& policy);
  ~PlacedHere();
  PlacedHere(const PlacedHere&) = delete;
  PlacedHere& operator=(const PlacedHere&) = delete;

 private:
  std::vector<int> cores_before_;
  bool has_memory_policy_ = false;
};

}  // namespace npuserve::engine
