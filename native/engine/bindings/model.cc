// Model, its options, its sink and its statistics for Python.
#include "engine/model.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/sink.h"
#include "engine/acl_load.h"
#include "engine/bindings/completion_queue.h"
#include "engine/bindings/register.h"
#include "engine/identity_executor.h"

namespace py = pybind11;

namespace npuserve::engine::bindings {
namespace {

constexpr int64_t kLongestDelayUs = int64_t{1} << 50;  // 35 years; in nanoseconds it still fits in 64 bits

struct PythonOptions {
  ModelOptions options;
  std::vector<int> devices;
  size_t slots_per_instance = 2;
  bool time_stages = true;
  std::vector<HostPolicy> host_policies{};  // one an instance, or none
};

int64_t nanoseconds(const char* name, int64_t microseconds) {
  if (microseconds < 0 || microseconds > kLongestDelayUs) {
    throw py::value_error(std::string(name) + " must be in 0 to " + std::to_string(kLongestDelayUs));
  }
  return microseconds * 1000;
}

// Timeout in microseconds, whether requests may shorten it, whether those that time out are served last, largest size.
using PythonQueuePolicy = std::tuple<int64_t, bool, bool, int64_t>;

batching::QueuePolicy make_policy(const PythonQueuePolicy& policy) {
  const auto& [timeout_us, allows_override, delays, max_size] = policy;
  return {.timeout_ns = nanoseconds("the timeout of a queue", timeout_us),
          .allows_override = allows_override,
          .delays = delays,
          .max_size = max_size};
}

batching::SchedulerOptions make_scheduling(batching::PolicyOptions batching, int64_t levels, int64_t default_level,
                                           const PythonQueuePolicy& default_policy,
                                           const std::map<int64_t, PythonQueuePolicy>& policies, bool buckets,
                                           int64_t max_overtaken, int64_t admission_max_wait_us,
                                           int64_t adaptive_delay_p99_us) {
  batching::SchedulerOptions options{
      .batching = std::move(batching),
      .buckets = buckets,
      .max_overtaken = max_overtaken,
      .levels = levels > 0 ? levels : 1,
      .default_level = levels > 0 ? default_level : 1,
      .default_policy = make_policy(default_policy),
      .max_predicted_wait_ns = nanoseconds("admission_max_wait_us", admission_max_wait_us),
      .target_p99_ns = nanoseconds("adaptive_delay_p99_us", adaptive_delay_p99_us)};
  for (const auto& [level, policy] : policies) options.policies.emplace(level, make_policy(policy));
  return options;
}

PythonOptions make_options(std::string name, int64_t max_batch_size, bool dynamic_batching,
                           std::vector<int64_t> preferred_batch_sizes, int64_t max_queue_delay_us,
                           int64_t max_queue_size, std::vector<int> devices, int64_t slots_per_instance,
                           std::vector<std::vector<int64_t>> variable_output_axes, bool record_statistics,
                           bool time_stages, bool preserve_ordering, int64_t levels, int64_t default_level,
                           const PythonQueuePolicy& default_policy,
                           const std::map<int64_t, PythonQueuePolicy>& policies, bool buckets, int64_t max_overtaken,
                           const std::optional<std::string>& mask_input, std::map<std::string, double> padding,
                           bool detect_padding, int64_t admission_max_wait_us, int64_t adaptive_delay_p99_us,
                           bool check_finite) {
  if (slots_per_instance < 1) throw py::value_error("slots_per_instance must be 1 or more");
  if (devices.empty()) throw py::value_error("devices must name a device for each instance, and there is none");
  if (levels < 0) throw py::value_error("levels must be 0 or more");
  ModelOptions options{
      .name = std::move(name),
      .scheduling = make_scheduling({.max_batch_size = max_batch_size,
                                     .dynamic_batching = dynamic_batching,
                                     .preferred_batch_sizes = std::move(preferred_batch_sizes),
                                     .max_queue_delay_ns = nanoseconds("max_queue_delay_us", max_queue_delay_us),
                                     .max_queue_size = max_queue_size},
                                    levels, default_level, default_policy, policies, buckets, max_overtaken,
                                    admission_max_wait_us, adaptive_delay_p99_us),
      .has_levels = levels > 0,
      .devices = devices,
      .variable_output_axes = std::move(variable_output_axes),
      .padding = {.mask_input = mask_input.value_or(""), .values = std::move(padding), .detect = detect_padding},
      .preserve_ordering = preserve_ordering,
      .check_finite = check_finite,
      .record_statistics = record_statistics};
  return {.options = std::move(options),
          .devices = std::move(devices),
          .slots_per_instance = static_cast<size_t>(slots_per_instance),
          .time_stages = time_stages};
}

using PythonNeeds = std::vector<std::tuple<std::string, int64_t, bool>>;  // name, count, whether it is global

void share(PythonOptions& options, std::shared_ptr<Turns> turns, const std::vector<int>& devices, bool has_turns,
           double weight, const std::vector<PythonNeeds>& needs, const std::vector<int64_t>& priorities) {
  const size_t instances = options.devices.size();
  if (devices.size() != instances || needs.size() != instances || priorities.size() != instances) {
    throw py::value_error("devices, needs and priorities must have an entry for each instance");
  }
  if (!(weight > 0)) throw py::value_error("weight must be above 0");
  options.options.turns = std::move(turns);
  options.options.seats.clear();
  for (size_t i = 0; i < instances; ++i) {
    batching::SeatOptions& seat = options.options.seats.emplace_back(
        batching::SeatOptions{.device = devices[i], .shares = has_turns, .weight = weight, .priority = priorities[i]});
    for (const auto& [name, count, is_global] : needs[i]) seat.needs.push_back({name, count, is_global});
  }
}

using PythonHostPolicy = std::pair<std::vector<int>, std::optional<int>>;  // cores, NUMA node

void place(PythonOptions& options, const std::vector<PythonHostPolicy>& policies) {
  if (policies.size() != options.devices.size()) throw py::value_error("policies must have one for each instance");
  options.host_policies.clear();
  for (const auto& [cores, numa_node] : policies) options.host_policies.push_back({cores, numa_node});
}

std::shared_ptr<Turns> make_turns(const std::vector<std::tuple<std::string, int64_t, std::optional<int>>>& pools) {
  std::vector<batching::GivenPool> given;
  given.reserve(pools.size());
  for (const auto& [name, count, device] : pools) given.push_back({name, count, device});
  return std::make_shared<Turns>(std::move(given));
}

LoadedOm load(const RuntimeHandle& runtime, const std::string& path, const PythonOptions& options) {
  std::vector<AclPlace> places;
  places.reserve(options.devices.size());
  for (const int device : options.devices) {
    places.push_back({.device = device, .registrar = runtime.registrars->of_device(device)});
  }
  for (size_t i = 0; i < options.host_policies.size(); ++i) places[i].host = options.host_policies[i];
  return load_om(runtime.runtime, path, places, options.slots_per_instance, options.time_stages);
}

std::shared_ptr<Model> make_identity(const core::Signature& signature, const PythonOptions& options,
                                     int64_t execute_delay_us) {
  if (execute_delay_us < 0 || execute_delay_us > kLongestDelayUs) {
    throw std::invalid_argument("execute_delay_us must be in 0 to " + std::to_string(kLongestDelayUs));
  }
  std::vector<std::unique_ptr<Executor>> executors;
  executors.reserve(options.devices.size());
  for (size_t i = 0; i < options.devices.size(); ++i) {
    executors.push_back(
        std::make_unique<IdentityExecutor>(signature, options.slots_per_instance, execute_delay_us * 1000));
  }
  // Each instance takes its time by itself: none shares a device with another.
  ModelOptions apart = options.options;
  std::iota(apart.devices.begin(), apart.devices.end(), 0);
  return std::make_shared<Model>(std::move(apart), std::move(executors));
}

// Python's Model. Keeps the queue alive, to which its threads push until it is closed; whoever holds the model through
// a capsule has a closed one when this is gone.
class ModelHandle {
 public:
  // make: makes the model, without the GIL.
  template <class Make>
  ModelHandle(py::object queue, Make make) : queue_(std::move(queue)), completions_(queue_.cast<CompletionQueue&>()) {
    const py::gil_scoped_release release;
    model_ = make();
  }

  // Python releases it with the GIL held, and unloading waits for threads and for the device.
  ~ModelHandle() {
    PyThreadState* const thread = PyEval_SaveThread();
    model_->close();
    model_.reset();
    PyEval_RestoreThread(thread);
  }

  ModelHandle(const ModelHandle&) = delete;
  ModelHandle& operator=(const ModelHandle&) = delete;

  Model& model() const { return *model_; }
  std::shared_ptr<core::Sink> sink() const { return model_; }
  CompletionQueue& completions() const { return completions_; }

  std::vector<MemoryUse> memory{};  // by device; empty if the model runs on none

 private:
  py::object queue_;
  CompletionQueue& completions_;
  std::shared_ptr<Model> model_;
};

std::unique_ptr<ModelHandle> open_model(const RuntimeHandle& runtime, const std::string& path,
                                        const PythonOptions& options, py::object queue) {
  std::vector<MemoryUse> memory;
  auto handle = std::make_unique<ModelHandle>(std::move(queue), [&] {
    LoadedOm loaded = load(runtime, path, options);
    memory = std::move(loaded.memory);
    return std::make_shared<Model>(options.options, std::move(loaded.executors));
  });
  handle->memory = std::move(memory);
  return handle;
}

std::unique_ptr<ModelHandle> open_identity(const core::Signature& signature, const PythonOptions& options,
                                           int64_t execute_delay_us, py::object queue) {
  return std::make_unique<ModelHandle>(std::move(queue),
                                       [&] { return make_identity(signature, options, execute_delay_us); });
}

std::unique_ptr<ModelHandle> open_onnxruntime(const OrtHandle& runtime, const std::string& path,
                                              const ort::SessionOptions& session, bool share_session,
                                              const core::Signature& signature, const PythonOptions& options,
                                              py::object queue) {
  return std::make_unique<ModelHandle>(std::move(queue), [&] {
    return std::make_shared<Model>(
        options.options, make_ort_executors(runtime, path, session, share_session, signature, options.devices.size()));
  });
}

void close_model(ModelHandle& handle) {
  {
    const py::gil_scoped_release release;
    handle.model().close();
  }
  handle.memory.clear();
}

// A capsule's destructor. The last to let go of a model unloads it.
void release_sink(PyObject* capsule) {
  const std::unique_ptr<std::shared_ptr<core::Sink>> sink(
      static_cast<std::shared_ptr<core::Sink>*>(PyCapsule_GetPointer(capsule, core::kSinkCapsule)));
  PyThreadState* const thread = PyEval_SaveThread();
  sink->reset();
  PyEval_RestoreThread(thread);
}

py::capsule sink_of(const ModelHandle& handle) {
  auto sink = std::make_unique<std::shared_ptr<core::Sink>>(handle.sink());
  py::capsule capsule(sink.get(), core::kSinkCapsule, release_sink);
  [[maybe_unused]] const auto* const given = sink.release();  // the capsule's now
  return capsule;
}

const Py_buffer& lent_buffer(const py::object& exporter, LentBuffers& lent, int flags) {
  const Py_buffer* const buffer = lent.lend(exporter.ptr(), flags);
  if (buffer == nullptr) throw py::error_already_set();
  return *buffer;
}

core::TensorView view_of(py::handle input, LentBuffers& lent) {
  if (!py::isinstance<py::sequence>(input) || py::len(input) != 2) {
    throw py::type_error("an input is a pair of a buffer and a shape");
  }
  const auto pair = py::reinterpret_borrow<py::sequence>(input);
  const Py_buffer& buffer = lent_buffer(pair[0], lent, PyBUF_C_CONTIGUOUS);
  return {.data = static_cast<const std::byte*>(buffer.buf),
          .size_bytes = static_cast<size_t>(buffer.len),
          .shape = py::object(pair[1]).cast<core::Shape>()};
}

using PythonDestinations = std::optional<std::vector<py::object>>;

std::vector<std::optional<Destination>> destinations_of(const ModelHandle& handle, const PythonDestinations& given,
                                                        LentBuffers& lent) {
  std::vector<std::optional<Destination>> destinations;
  if (!given) return destinations;
  const std::vector<core::TensorSpec>& outputs = handle.model().signature().outputs;
  if (given->size() != outputs.size()) {
    throw py::value_error("expected a destination or None for each of " + std::to_string(outputs.size()) +
                          " outputs, got " + std::to_string(given->size()));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::optional<Destination>& destination = destinations.emplace_back();
    if ((*given)[i].is_none()) continue;
    const Py_buffer& buffer = lent_buffer((*given)[i], lent, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
    destination = Destination{outputs[i].name, {static_cast<std::byte*>(buffer.buf), static_cast<size_t>(buffer.len)}};
  }
  return destinations;
}

// time.monotonic() counts as steady_now_ns() does, in seconds.
int64_t deadline_ns(const std::optional<double>& deadline) {
  if (!deadline) return 0;
  constexpr double kFarthest = 9e9;  // in nanoseconds it still fits in 64 bits
  return std::max<int64_t>(1, static_cast<int64_t>(std::clamp(*deadline, 0.0, kFarthest) * 1e9));
}

void submit(const ModelHandle& handle, uint64_t token, const py::sequence& inputs, int64_t rows,
            const PythonDestinations& destinations, uint64_t priority, std::optional<int64_t> timeout_us,
            const std::optional<double>& deadline) {
  core::Request request{.token = token,
                        .inputs = {},
                        .rows = rows,
                        .arrival_ns = core::steady_now_ns(),
                        .priority = priority,
                        .timeout_us = timeout_us,
                        .deadline_ns = deadline_ns(deadline),
                        .completion = {}};
  LentBuffers lent;
  for (const py::object input : inputs) request.inputs.push_back(view_of(input, lent));
  std::vector<std::optional<Destination>> native = destinations_of(handle, destinations, lent);
  request.completion =
      std::make_unique<QueuedCompletion>(handle.completions(), token, std::move(lent), std::move(native));
  const py::gil_scoped_release release;
  handle.model().submit(std::move(request));
}

using PythonIdentityTensor = std::tuple<std::string, std::string, std::string, core::Shape>;

core::Signature make_identity_signature(const std::vector<PythonIdentityTensor>& tensors, int64_t max_batch_size) {
  std::vector<IdentityTensor> made;
  for (const auto& [input, output, dtype, dims] : tensors) {
    const std::optional<core::Dtype> known = core::dtype_from_name(dtype);
    if (!known) throw py::value_error("unknown dtype '" + dtype + "'");
    made.push_back({input, output, *known, dims});
  }
  return identity_signature(made, max_batch_size);
}

// What a model counts, and what it knows of its gears.
struct ModelStatistics {
  Counters counters;
  std::vector<std::string> gear_labels;
  std::vector<int64_t> gear_costs_ns;  // empty: they were not measured
};

ModelStatistics statistics_of(const Model& model) {
  ModelStatistics statistics{.counters = model.statistics(), .gear_labels = {}, .gear_costs_ns = model.costs_ns()};
  for (size_t i = 0; i < statistics.counters.gears.size(); ++i) {
    statistics.gear_labels.push_back(model.label_of_gear(i));
  }
  return statistics;
}

struct GearStatistics {
  std::string label;
  GearCounters counters;
  int64_t cost_ns = 0;
};

std::vector<GearStatistics> gears_of(const ModelStatistics& statistics) {
  std::vector<GearStatistics> gears;
  gears.reserve(statistics.gear_labels.size());
  for (size_t i = 0; i < statistics.gear_labels.size(); ++i) {
    const int64_t cost_ns = statistics.gear_costs_ns.empty() ? 0 : statistics.gear_costs_ns[i];
    gears.push_back({statistics.gear_labels[i], statistics.counters.gears[i], cost_ns});
  }
  return gears;
}

// Rows by length, of the lengths that there were.
std::map<size_t, uint64_t> lengths_of(const ModelStatistics& statistics) {
  std::map<size_t, uint64_t> lengths;
  for (size_t length = 1; length < statistics.counters.lengths.size(); ++length) {
    if (const uint64_t rows = statistics.counters.lengths[length]; rows > 0) lengths.emplace(length, rows);
  }
  return lengths;
}

struct BatchStatistics {
  int64_t batch_size = 0;
  BatchCounters counters;
};

std::vector<BatchStatistics> batches_of(const ModelStatistics& statistics) {
  std::vector<BatchStatistics> batches;
  batches.reserve(statistics.counters.batches.size());
  for (const auto& [batch_size, batch] : statistics.counters.batches) batches.push_back({batch_size, batch});
  return batches;
}

template <FailureReason Reason>
uint64_t failures_of(const ModelStatistics& statistics) {
  return statistics.counters.failures[static_cast<size_t>(Reason)];
}

void register_memory(py::module_& module) {
  py::class_<MemoryUse>(module, "MemoryUse")
      .def_readonly("device", &MemoryUse::device)
      .def_readonly("instances", &MemoryUse::instances)
      .def_readonly("weight_bytes", &MemoryUse::weight_bytes)
      .def_readonly("work_bytes", &MemoryUse::work_bytes)
      .def_readonly("buffer_bytes", &MemoryUse::buffer_bytes)
      .def_readonly("pinned_bytes", &MemoryUse::pinned_bytes);
}

void register_statistics(py::module_& module) {
  py::class_<DurationCount>(module, "DurationCount")
      .def_readonly("count", &DurationCount::count)
      .def_readonly("ns", &DurationCount::ns);
  py::class_<BatchStatistics>(module, "BatchStatistics")
      .def_readonly("batch_size", &BatchStatistics::batch_size)
      .def_property_readonly("compute_input", [](const BatchStatistics& b) { return b.counters.compute_input; })
      .def_property_readonly("compute_infer", [](const BatchStatistics& b) { return b.counters.compute_infer; })
      .def_property_readonly("compute_output", [](const BatchStatistics& b) { return b.counters.compute_output; });
  py::class_<GearStatistics>(module, "GearStatistics")
      .def_readonly("label", &GearStatistics::label)
      .def_property_readonly("executions", [](const GearStatistics& g) { return g.counters.executions; })
      .def_property_readonly("useful", [](const GearStatistics& g) { return g.counters.useful; })
      .def_property_readonly("padding", [](const GearStatistics& g) { return g.counters.padding; })
      .def_property_readonly("cancelled", [](const GearStatistics& g) { return g.counters.cancelled; })
      .def_property_readonly("expired", [](const GearStatistics& g) { return g.counters.expired; })
      .def_property_readonly("empty", [](const GearStatistics& g) { return g.counters.empty; })
      .def_readonly("cost_ns", &GearStatistics::cost_ns);
  py::class_<ModelStatistics>(module, "Statistics")
      .def_property_readonly("last_inference_ms", [](const ModelStatistics& s) { return s.counters.last_inference_ms; })
      .def_property_readonly("inference_count", [](const ModelStatistics& s) { return s.counters.inference_count; })
      .def_property_readonly("execution_count", [](const ModelStatistics& s) { return s.counters.execution_count; })
      .def_property_readonly("success", [](const ModelStatistics& s) { return s.counters.success; })
      .def_property_readonly("fail", [](const ModelStatistics& s) { return s.counters.fail; })
      .def_property_readonly("queue", [](const ModelStatistics& s) { return s.counters.queue; })
      .def_property_readonly("compute_input", [](const ModelStatistics& s) { return s.counters.compute_input; })
      .def_property_readonly("compute_infer", [](const ModelStatistics& s) { return s.counters.compute_infer; })
      .def_property_readonly("compute_output", [](const ModelStatistics& s) { return s.counters.compute_output; })
      .def_property_readonly("batches", batches_of)
      .def_property_readonly("gears", gears_of)
      .def_property_readonly("lengths", lengths_of)
      .def_property_readonly("rejected", failures_of<FailureReason::kRejected>)
      .def_property_readonly("cancelled", failures_of<FailureReason::kCancelled>)
      .def_property_readonly("backend_failures", failures_of<FailureReason::kBackend>)
      .def_property_readonly("other_failures", failures_of<FailureReason::kOther>)
      .def_property_readonly("padded_rows", [](const ModelStatistics& s) { return s.counters.padded_rows; })
      .def_property_readonly("expired", [](const ModelStatistics& s) { return s.counters.expired; })
      .def_property_readonly("shed", [](const ModelStatistics& s) { return s.counters.shed; })
      .def_property_readonly("nonfinite_rows", [](const ModelStatistics& s) { return s.counters.nonfinite_rows; })
      .def_property_readonly("queued", [](const ModelStatistics& s) { return s.counters.backlog.queued; })
      .def_property_readonly("predicted_wait_ns",
                             [](const ModelStatistics& s) { return s.counters.backlog.predicted_wait_ns; })
      .def_property_readonly("queue_delay_ns",
                             [](const ModelStatistics& s) { return s.counters.backlog.queue_delay_ns; });
}

}  // namespace

void register_model(py::module_& module) {
  register_memory(module);
  register_statistics(module);
  module.def("identity_signature", make_identity_signature, py::arg("tensors"), py::arg("max_batch_size"));
  py::class_<Turns, std::shared_ptr<Turns>>(module, "Turns").def(py::init(&make_turns), py::arg("pools"));
  py::class_<PythonOptions>(module, "ModelOptions")
      .def(py::init(&make_options), py::kw_only(), py::arg("name"), py::arg("max_batch_size"),
           py::arg("dynamic_batching"), py::arg("preferred_batch_sizes"), py::arg("max_queue_delay_us"),
           py::arg("max_queue_size"), py::arg("devices"), py::arg("slots_per_instance"),
           py::arg("variable_output_axes"), py::arg("record_statistics") = true, py::arg("time_stages") = true,
           py::arg("preserve_ordering") = false, py::arg("levels") = 0, py::arg("default_level") = 0,
           py::arg("default_policy") = PythonQueuePolicy(),
           py::arg("policies") = std::map<int64_t, PythonQueuePolicy>(), py::arg("buckets") = false,
           py::arg("max_overtaken") = 0, py::arg("mask_input") = py::none(),
           py::arg("padding") = std::map<std::string, double>(), py::arg("detect_padding") = false,
           py::arg("admission_max_wait_us") = 0, py::arg("adaptive_delay_p99_us") = 0, py::arg("check_finite") = false)
      .def("share", share, py::arg("turns"), py::kw_only(), py::arg("devices"), py::arg("has_turns"), py::arg("weight"),
           py::arg("needs"), py::arg("priorities"))
      .def("place", place, py::arg("policies"));
  using ReleaseGil = py::call_guard<py::gil_scoped_release>;
  py::class_<ModelHandle>(module, "Model")
      .def(py::init(&open_model), py::arg("runtime"), py::arg("path"), py::arg("options"), py::arg("completions"))
      .def_static("identity", open_identity, py::arg("signature"), py::arg("options"), py::arg("execute_delay_us"),
                  py::arg("completions"))
      .def_static("onnxruntime", open_onnxruntime, py::arg("runtime"), py::arg("path"), py::arg("session"),
                  py::arg("share_session"), py::arg("signature"), py::arg("options"), py::arg("completions"))
      .def_property_readonly("sink", sink_of)
      .def_readonly("memory", &ModelHandle::memory)
      .def_property_readonly("signature", [](const ModelHandle& handle) { return handle.model().signature(); })
      .def("submit", submit, py::arg("token"), py::arg("inputs"), py::arg("rows"), py::arg("destinations") = py::none(),
           py::kw_only(), py::arg("priority") = 0, py::arg("timeout_us") = py::none(), py::arg("deadline") = py::none())
      .def(
          "cancel", [](const ModelHandle& handle, uint64_t token) { return handle.model().cancel(token); },
          py::arg("token"), ReleaseGil())
      .def(
          "statistics", [](const ModelHandle& handle) { return statistics_of(handle.model()); }, ReleaseGil())
      .def_property_readonly(
          "pending", py::cpp_function([](const ModelHandle& handle) { return handle.model().pending(); }, ReleaseGil()))
      .def("close", close_model);
}

}  // namespace npuserve::engine::bindings
