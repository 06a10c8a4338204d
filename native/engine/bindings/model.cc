// Model, its options, its sink and its statistics for Python.
#include "engine/model.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/sink.h"
#include "engine/acl_executor.h"
#include "engine/bindings/completion_queue.h"
#include "engine/bindings/register.h"
#include "engine/identity_executor.h"

namespace py = pybind11;

namespace npuserve::engine::bindings {
namespace {

constexpr int64_t kLongestDelayUs = int64_t{1} << 50;  // 35 years; in nanoseconds it still fits in 64 bits

struct PythonOptions {
  std::string name;
  ModelOptions options;
  std::vector<int> devices;
  size_t slots_per_instance = 2;
  bool time_stages = true;
};

PythonOptions make_options(std::string name, int64_t max_batch_size, bool dynamic_batching,
                           std::vector<int64_t> preferred_batch_sizes, int64_t max_queue_delay_us,
                           int64_t max_queue_size, std::vector<int> devices, int64_t slots_per_instance,
                           std::vector<std::vector<int64_t>> variable_output_axes, bool record_statistics,
                           bool time_stages) {
  if (slots_per_instance < 1) throw py::value_error("slots_per_instance must be 1 or more");
  if (devices.empty()) throw py::value_error("devices must name a device for each instance, and there is none");
  if (max_queue_delay_us < 0 || max_queue_delay_us > kLongestDelayUs) {
    throw py::value_error("max_queue_delay_us must be in 0 to " + std::to_string(kLongestDelayUs));
  }
  return {.name = std::move(name),
          .options = {.batching = {.max_batch_size = max_batch_size,
                                   .dynamic_batching = dynamic_batching,
                                   .preferred_batch_sizes = std::move(preferred_batch_sizes),
                                   .max_queue_delay_ns = max_queue_delay_us * 1000,
                                   .max_queue_size = max_queue_size},
                      .variable_output_axes = std::move(variable_output_axes),
                      .record_statistics = record_statistics},
          .devices = std::move(devices),
          .slots_per_instance = static_cast<size_t>(slots_per_instance),
          .time_stages = time_stages};
}

std::shared_ptr<Model> load(const RuntimeHandle& runtime, const std::string& path, const PythonOptions& options) {
  std::vector<std::unique_ptr<Executor>> executors;
  executors.reserve(options.devices.size());
  for (const int device : options.devices) {
    auto executor = std::make_unique<AclExecutor>(runtime.runtime, path, device, options.slots_per_instance,
                                                  options.time_stages, runtime.registrars->of_device(device));
    executor->warm_up();
    executors.push_back(std::move(executor));
  }
  return std::make_shared<Model>(options.options, std::move(executors));
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
  return std::make_shared<Model>(options.options, std::move(executors));
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

 private:
  py::object queue_;
  CompletionQueue& completions_;
  std::shared_ptr<Model> model_;
};

std::unique_ptr<ModelHandle> open_model(const RuntimeHandle& runtime, const std::string& path,
                                        const PythonOptions& options, py::object queue) {
  return std::make_unique<ModelHandle>(std::move(queue), [&] { return load(runtime, path, options); });
}

std::unique_ptr<ModelHandle> open_identity(const core::Signature& signature, const PythonOptions& options,
                                           int64_t execute_delay_us, py::object queue) {
  return std::make_unique<ModelHandle>(std::move(queue),
                                       [&] { return make_identity(signature, options, execute_delay_us); });
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

void submit(const ModelHandle& handle, uint64_t token, const py::sequence& inputs, int64_t rows,
            const PythonDestinations& destinations) {
  core::Request request{
      .token = token, .inputs = {}, .rows = rows, .arrival_ns = core::steady_now_ns(), .completion = {}};
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

struct BatchStatistics {
  int64_t batch_size = 0;
  BatchCounters counters;
};

std::vector<BatchStatistics> batches_of(const Counters& counters) {
  std::vector<BatchStatistics> batches;
  batches.reserve(counters.batches.size());
  for (const auto& [batch_size, batch] : counters.batches) batches.push_back({batch_size, batch});
  return batches;
}

template <FailureReason Reason>
uint64_t failures_of(const Counters& counters) {
  return counters.failures[static_cast<size_t>(Reason)];
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
  py::class_<Counters>(module, "Statistics")
      .def_readonly("last_inference_ms", &Counters::last_inference_ms)
      .def_readonly("inference_count", &Counters::inference_count)
      .def_readonly("execution_count", &Counters::execution_count)
      .def_readonly("success", &Counters::success)
      .def_readonly("fail", &Counters::fail)
      .def_readonly("queue", &Counters::queue)
      .def_readonly("compute_input", &Counters::compute_input)
      .def_readonly("compute_infer", &Counters::compute_infer)
      .def_readonly("compute_output", &Counters::compute_output)
      .def_property_readonly("batches", batches_of)
      .def_property_readonly("rejected", failures_of<FailureReason::kRejected>)
      .def_property_readonly("cancelled", failures_of<FailureReason::kCancelled>)
      .def_property_readonly("backend_failures", failures_of<FailureReason::kBackend>)
      .def_property_readonly("other_failures", failures_of<FailureReason::kOther>)
      .def_readonly("padded_rows", &Counters::padded_rows)
      .def_readonly("queued", &Counters::queued);
}

}  // namespace

void register_model(py::module_& module) {
  register_statistics(module);
  module.def("identity_signature", make_identity_signature, py::arg("tensors"), py::arg("max_batch_size"));
  py::class_<PythonOptions>(module, "ModelOptions")
      .def(py::init(&make_options), py::kw_only(), py::arg("name"), py::arg("max_batch_size"),
           py::arg("dynamic_batching"), py::arg("preferred_batch_sizes"), py::arg("max_queue_delay_us"),
           py::arg("max_queue_size"), py::arg("devices"), py::arg("slots_per_instance"),
           py::arg("variable_output_axes"), py::arg("record_statistics") = true, py::arg("time_stages") = true);
  using ReleaseGil = py::call_guard<py::gil_scoped_release>;
  py::class_<ModelHandle>(module, "Model")
      .def(py::init(&open_model), py::arg("runtime"), py::arg("path"), py::arg("options"), py::arg("completions"))
      .def_static("identity", open_identity, py::arg("signature"), py::arg("options"), py::arg("execute_delay_us"),
                  py::arg("completions"))
      .def_property_readonly("sink", sink_of)
      .def_property_readonly("signature", [](const ModelHandle& handle) { return handle.model().signature(); })
      .def("submit", submit, py::arg("token"), py::arg("inputs"), py::arg("rows"), py::arg("destinations") = py::none())
      .def(
          "cancel", [](const ModelHandle& handle, uint64_t token) { return handle.model().cancel(token); },
          py::arg("token"), ReleaseGil())
      .def(
          "statistics", [](const ModelHandle& handle) { return handle.model().statistics(); }, ReleaseGil())
      .def_property_readonly(
          "pending", py::cpp_function([](const ModelHandle& handle) { return handle.model().pending(); }, ReleaseGil()))
      .def("close", [](const ModelHandle& handle) { handle.model().close(); }, ReleaseGil());
}

}  // namespace npuserve::engine::bindings
