#include "engine/host_policy.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace npuserve::engine {
namespace {

// linux/mempolicy.h, which not every system has for programs.
constexpr int kDefaultPolicy = 0;
constexpr int kPreferredPolicy = 1;
constexpr int kMostNodes = 1024;

std::vector<int> cores_of_thread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

bool run_on(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(core, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

// The kernel writes lists as "0-3,8".
std::vector<int> parse_list(const std::string& text) {
  std::vector<int> numbers;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    std::istringstream range(part);
    int first = 0;
    if (!(range >> first)) continue;
    int last = first;
    if (range.get() == '-') range >> last;
    for (int number = first; number <= last; ++number) numbers.push_back(number);
  }
  return numbers;
}

std::optional<std::vector<int>> cores_of_node(int node) {
  std::ifstream file("/sys/devices/system/node/node" + std::to_string(node) + "/cpulist");
  std::string line;
  if (!file || !std::getline(file, line)) return std::nullopt;
  return parse_list(line);
}

std::string list_of(const std::vector<int>& numbers) {
  std::string text;
  for (const int number : numbers) text.append(text.empty() ? "" : ",").append(std::to_string(number));
  return text;
}

// Of the node's cores, those that the process may use; the given ones if there are any.
std::vector<int> cores_of(const HostPolicy& policy) {
  if (!policy.cores.empty() || !policy.numa_node) return policy.cores;
  const std::vector<int> allowed = cores_of_thread();
  std::vector<int> cores = cores_of_node(*policy.numa_node).value_or(std::vector<int>{});
  std::erase_if(cores, [&](int core) { return std::ranges::find(allowed, core) == allowed.end(); });
  return cores;
}

bool prefer_node(std::optional<int> node) {
  std::array<unsigned long, kMostNodes / (sizeof(unsigned long) * CHAR_BIT)> mask{};
  constexpr int kBits = sizeof(unsigned long) * CHAR_BIT;
  if (node) mask.at(static_cast<size_t>(*node / kBits)) |= 1UL << (*node % kBits);
  return syscall(SYS_set_mempolicy, node ? kPreferredPolicy : kDefaultPolicy, node ? mask.data() : nullptr,
                 node ? kMostNodes : 0) == 0;
}

}  // namespace

void check(const HostPolicy& policy) {
  const std::vector<int> allowed = cores_of_thread();
  for (const int core : policy.cores) {
    if (std::ranges::find(allowed, core) != allowed.end()) continue;
    throw std::invalid_argument("CPU core " + std::to_string(core) +
                                " is none of those that this process may use: " + list_of(allowed));
  }
  if (!policy.numa_node) return;
  const int node = *policy.numa_node;
  if (node < 0 || node >= kMostNodes || !cores_of_node(node)) {
    throw std::invalid_argument("NUMA node " + std::to_string(node) + " does not exist");
  }
  if (cores_of(policy).empty()) {
    throw std::invalid_argument("NUMA node " + std::to_string(node) + " has no CPU core that this process may use");
  }
}

core::Status pin_thread(const HostPolicy& policy) noexcept {
  try {
    const std::vector<int> cores = cores_of(policy);
    if (cores.empty() || run_on(cores)) return {};
    return {core::StatusCode::kInternal, "cannot run on the CPU cores " + list_of(cores) + ": " + std::strerror(errno)};
  } catch (const std::exception& error) {
    return {core::StatusCode::kInternal, error.what()};
  }
}

PlacedHere::PlacedHere(const HostPolicy& policy) {
  if (policy.is_empty()) return;
  cores_before_ = cores_of_thread();
  static_cast<void>(pin_thread(policy));
  has_memory_policy_ = policy.numa_node && prefer_node(policy.numa_node);
}

PlacedHere::~PlacedHere() {
  if (has_memory_policy_) prefer_node(std::nullopt);
  if (!cores_before_.empty()) run_on(cores_before_);
}

}  // namespace npuserve::engine
