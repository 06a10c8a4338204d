// Completion, Output and CompletionQueue for Python.
#include <poll.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <utility>

#include "core/clock.h"
#include "engine/bindings/completion_queue.h"
#include "engine/bindings/register.h"

namespace py = pybind11;

namespace npuserve::engine::bindings {
namespace {

py::buffer_info buffer_of(Output& output) {
  const auto size = static_cast<py::ssize_t>(output.size_bytes);
  return {output.block.get() + output.offset, 1, "B", 1, {size}, {1}, true};
}

// The fields of core::Timing, None if nothing was executed.
py::object timing_of(const FinishedRequest& finished) {
  const core::Timing& timing = finished.timing;
  if (timing.batch_id == 0) return py::none();
  return py::make_tuple(timing.batch_id, timing.gear, timing.batch_rows, timing.arrival_ns, timing.start_ns,
                        timing.gathered_ns, timing.h2d_end_ns, timing.execute_end_ns, timing.d2h_end_ns,
                        timing.scattered_ns);
}

py::list drain(CompletionQueue& queue) {
  std::vector<LentBuffers> lent;
  std::vector<FinishedRequest> finished;
  {
    const py::gil_scoped_release release;
    finished = queue.drain(lent);
  }
  py::list completions(finished.size());
  for (size_t i = 0; i < finished.size(); ++i) completions[i] = py::cast(std::move(finished[i]));
  return completions;
}

// Returns to Python on a signal, so that its handlers run.
int poll_once(int file_descriptor, int64_t remaining_ns) {
  // Rounded up: waking early would spin through the last millisecond.
  const int64_t milliseconds = std::clamp<int64_t>((remaining_ns + 999'999) / 1'000'000, 0, 60'000);
  pollfd entry{.fd = file_descriptor, .events = POLLIN, .revents = 0};
  const py::gil_scoped_release release;
  return ::poll(&entry, 1, static_cast<int>(milliseconds));
}

bool wait(CompletionQueue& queue, double timeout_s) {
  if (!std::isfinite(timeout_s) || timeout_s < 0) throw py::value_error("timeout_s must be a finite number, 0 or more");
  constexpr double kLongestSeconds = 1e9;  // keeps the deadline within 64 bits
  const auto timeout_ns = static_cast<int64_t>(std::min(timeout_s, kLongestSeconds) * 1e9);
  const int64_t deadline_ns = core::steady_now_ns() + timeout_ns;
  while (true) {
    const int file_descriptor = queue.file_descriptor();
    if (file_descriptor < 0) throw py::value_error("the completion queue is closed");
    const int64_t remaining_ns = deadline_ns - core::steady_now_ns();
    const int ready = poll_once(file_descriptor, std::max<int64_t>(0, remaining_ns));
    if (ready > 0) return true;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (core::steady_now_ns() >= deadline_ns) return false;
  }
}

}  // namespace

void register_completions(py::module_& module) {
  using ReleaseGil = py::call_guard<py::gil_scoped_release>;
  py::class_<Output>(module, "Output", py::buffer_protocol())
      .def_property_readonly("shape", [](const Output& output) { return to_tuple(output.shape); })
      .def_buffer(buffer_of);
  py::class_<FinishedRequest>(module, "Completion")
      .def_readonly("token", &FinishedRequest::token)
      .def_property_readonly("status", [](const FinishedRequest& r) { return static_cast<int>(r.status.code()); })
      .def_property_readonly("message", [](const FinishedRequest& r) { return r.status.message(); })
      .def_property_readonly("timing", timing_of)
      .def_property_readonly("outputs", [](const FinishedRequest& r) {
        py::list outputs;
        for (const Output& output : r.outputs) outputs.append(py::cast(output));
        return outputs;
      });
  py::class_<CompletionQueue>(module, "CompletionQueue")
      .def(py::init<>())
      .def("fileno", &CompletionQueue::file_descriptor, ReleaseGil())
      .def("drain", drain)
      .def("wait", wait, py::arg("timeout_s"))
      .def("close", &CompletionQueue::close, ReleaseGil());
}

}  // namespace npuserve::engine::bindings
