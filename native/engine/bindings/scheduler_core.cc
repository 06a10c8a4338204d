// The scheduler's core for models whose batches Python runs: the same decisions as the engine's own. An instance runs
// one batch at a time; what it is told when, its owner's event loop says.
#include "batching/scheduler_core.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/bindings/register.h"

namespace py = pybind11;

namespace npuserve::engine::bindings {
namespace {

constexpr int64_t kLongestUs = int64_t{1} << 50;  // 35 years; in nanoseconds it still fits in 64 bits
constexpr int64_t kMostLevels = 1 << 16;          // each has a queue

// What submit() returns in place of a ticket.
constexpr int64_t kQueueFull = -1;
constexpr int64_t kOverloaded = -2;
constexpr int64_t kStopping = -3;

using PythonPolicy = std::tuple<int64_t, bool, bool, int64_t>;  // timeout_us, allows_override, delays, max_size

int64_t to_ns(const char* name, int64_t us) {
  if (us < 0 || us > kLongestUs) {
    throw py::value_error(std::string(name) + " must be in 0 to " + std::to_string(kLongestUs));
  }
  return us * 1000;
}

batching::QueuePolicy to_policy(const PythonPolicy& policy) {
  const auto& [timeout_us, allows_override, delays, max_size] = policy;
  if (max_size < 0) throw py::value_error("the max_size of a policy must be 0 or more");
  return {.timeout_ns = to_ns("the timeout_us of a policy", timeout_us),
          .allows_override = allows_override,
          .delays = delays,
          .max_size = max_size};
}

// A core and what Python need not say with every event.
class PythonCore {
 public:
  PythonCore(batching::SchedulerOptions options, size_t instances)
      : max_batch_size_(options.batching.max_batch_size), core_(std::move(options), {}, places(instances), 1) {}

  int64_t submit(int64_t now_ns, int64_t rows, std::vector<int64_t> row_shape, int64_t priority, int64_t timeout_us) {
    // Without compiled shapes any batch fits that the config allows.
    const batching::Admission admission = core_.submit({.rows = rows,
                                                        .arrival_ns = now_ns,
                                                        .capacity_rows = std::max(rows, max_batch_size_),
                                                        .row_shape = std::move(row_shape),
                                                        .priority = priority,
                                                        .timeout_ns = std::min(timeout_us, kLongestUs) * 1000},
                                                       now_ns);
    switch (admission.verdict) {
      case batching::Verdict::kQueued:
        return admission.ticket;
      case batching::Verdict::kQueueFull:
        return kQueueFull;
      case batching::Verdict::kOverloaded:
        refused_wait_ns_ = admission.predicted_wait_ns;
        return kOverloaded;
      case batching::Verdict::kStopping:
        break;
    }
    return kStopping;
  }

  py::object take(int64_t now_ns) {
    const std::optional<size_t> instance = core_.next_instance(now_ns);
    if (!instance) return py::none();
    const batching::TakenBatch batch = core_.take(*instance, now_ns);
    if (batch.tickets.empty()) return py::cast(core_.decide(*instance, now_ns).wake_at_ns);
    return py::make_tuple(*instance, batch.tickets);
  }

  void ended(size_t instance, int64_t now_ns) {
    core_.ended(instance, now_ns);
    core_.release_slot(instance);
  }

  batching::SchedulerCore& core() { return core_; }
  int64_t refused_wait_ns() const { return refused_wait_ns_; }

 private:
  // Each instance is a device of its own: what it takes does not depend on what others do.
  static std::vector<int> places(size_t instances) {
    std::vector<int> devices(instances);
    std::iota(devices.begin(), devices.end(), 0);
    return devices;
  }

  const int64_t max_batch_size_;
  int64_t refused_wait_ns_ = 0;
  batching::SchedulerCore core_;
};

std::unique_ptr<PythonCore> make_core(int64_t instances, int64_t max_batch_size, bool dynamic_batching,
                                      std::vector<int64_t> preferred_batch_sizes, int64_t max_queue_delay_us,
                                      int64_t levels, int64_t default_level, const PythonPolicy& default_policy,
                                      const std::map<int64_t, PythonPolicy>& policies, int64_t max_predicted_wait_us,
                                      int64_t target_p99_us) {
  if (instances < 1) throw py::value_error("instances must be 1 or more");
  if (levels < 1 || levels > kMostLevels) {
    throw py::value_error("levels must be in 1 to " + std::to_string(kMostLevels));
  }
  if (default_level < 1 || default_level > levels) throw py::value_error("default_level must be one of the levels");
  batching::SchedulerOptions options{
      .batching = {.max_batch_size = max_batch_size,
                   .dynamic_batching = dynamic_batching,
                   .preferred_batch_sizes = std::move(preferred_batch_sizes),
                   .max_queue_delay_ns = to_ns("max_queue_delay_us", max_queue_delay_us)},
      .levels = levels,
      .default_level = default_level,
      .default_policy = to_policy(default_policy),
      .max_predicted_wait_ns = to_ns("max_predicted_wait_us", max_predicted_wait_us),
      .target_p99_ns = to_ns("target_p99_us", target_p99_us)};
  for (const auto& [level, policy] : policies) options.policies.emplace(level, to_policy(policy));
  return std::make_unique<PythonCore>(std::move(options), static_cast<size_t>(instances));
}

}  // namespace

void register_scheduler_core(py::module_& module) {
  py::class_<PythonCore>(module, "SchedulerCore")
      .def(py::init(&make_core), py::kw_only(), py::arg("instances"), py::arg("max_batch_size"),
           py::arg("dynamic_batching"), py::arg("preferred_batch_sizes"), py::arg("max_queue_delay_us"),
           py::arg("levels"), py::arg("default_level"), py::arg("default_policy"), py::arg("policies"),
           py::arg("max_predicted_wait_us"), py::arg("target_p99_us"))
      .def("submit", &PythonCore::submit, py::arg("now_ns"), py::arg("rows"), py::arg("row_shape"), py::arg("priority"),
           py::arg("timeout_us"))
      .def(
          "cancel", [](PythonCore& self, batching::Ticket ticket) { self.core().cancel(ticket); }, py::arg("ticket"))
      .def(
          "expire", [](PythonCore& self, int64_t now_ns) { return self.core().expire(now_ns); }, py::arg("now_ns"))
      .def("take", &PythonCore::take, py::arg("now_ns"))
      .def("ended", &PythonCore::ended, py::arg("instance"), py::arg("now_ns"))
      .def(
          "answered",
          [](PythonCore& self, int64_t latency_ns, int64_t now_ns) { self.core().answered(latency_ns, now_ns); },
          py::arg("latency_ns"), py::arg("now_ns"))
      .def("stop", [](PythonCore& self) { self.core().stop(); })
      .def(
          "predicted_wait_ns", [](PythonCore& self, int64_t now_ns) { return self.core().predicted_wait_ns(now_ns); },
          py::arg("now_ns"))
      .def_property_readonly("refused_wait_ns", &PythonCore::refused_wait_ns)
      .def_property_readonly("next_expiry_ns", [](PythonCore& self) { return self.core().next_expiry_ns(); })
      .def_property_readonly("queued", [](PythonCore& self) { return self.core().queued(); })
      .def_property_readonly("queue_delay_ns", [](PythonCore& self) { return self.core().queue_delay_ns(); });
  module.attr("QUEUE_FULL") = kQueueFull;
  module.attr("OVERLOADED") = kOverloaded;
  module.attr("STOPPING") = kStopping;
}

}  // namespace npuserve::engine::bindings
