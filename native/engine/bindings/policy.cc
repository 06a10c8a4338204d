// The batching policy for models whose batches Python runs: the same decisions as the engine's own.
#include "batching/policy.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/bindings/register.h"

namespace py = pybind11;

namespace npuserve::engine::bindings {
namespace {

constexpr int64_t kLongestDelayUs = int64_t{1} << 50;  // in nanoseconds it still fits in 64 bits

using PythonWaiting = std::tuple<int64_t, int64_t, std::vector<int64_t>>;  // rows, arrival_ns, row_shape

batching::PolicyOptions make_options(int64_t max_batch_size, bool dynamic_batching,
                                     std::vector<int64_t> preferred_batch_sizes, int64_t max_queue_delay_us) {
  if (max_queue_delay_us < 0 || max_queue_delay_us > kLongestDelayUs) {
    throw py::value_error("max_queue_delay_us must be in 0 to " + std::to_string(kLongestDelayUs));
  }
  return {.max_batch_size = max_batch_size,
          .dynamic_batching = dynamic_batching,
          .preferred_batch_sizes = std::move(preferred_batch_sizes),
          .max_queue_delay_ns = max_queue_delay_us * 1000,
          .max_queue_size = 0};
}

std::pair<size_t, std::optional<int64_t>> decide(const batching::PolicyOptions& options, int64_t now_ns,
                                                 std::vector<PythonWaiting> waiting, int64_t executing,
                                                 bool idle_elsewhere, bool stopping) {
  std::vector<batching::Waiting> queue;
  queue.reserve(waiting.size());
  for (auto& [rows, arrival_ns, row_shape] : waiting) {
    // Without compiled shapes any batch fits that the config allows.
    queue.push_back({.rows = rows,
                     .arrival_ns = arrival_ns,
                     .capacity_rows = std::max(rows, options.max_batch_size),
                     .row_shape = std::move(row_shape)});
  }
  const batching::Plan plan = batching::decide(options, {.now_ns = now_ns,
                                                         .queue = queue,
                                                         .executing = executing,
                                                         .idle_elsewhere = idle_elsewhere,
                                                         .stopping = stopping});
  return {plan.take, plan.wake_at_ns};
}

}  // namespace

void register_policy(py::module_& module) {
  py::class_<batching::PolicyOptions>(module, "BatchPolicy")
      .def(py::init(&make_options), py::kw_only(), py::arg("max_batch_size"), py::arg("dynamic_batching"),
           py::arg("preferred_batch_sizes"), py::arg("max_queue_delay_us"))
      .def("decide", decide, py::arg("now_ns"), py::arg("waiting"), py::arg("executing"), py::arg("idle_elsewhere"),
           py::arg("stopping"));
}

}  // namespace npuserve::engine::bindings
