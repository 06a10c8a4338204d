// The extension module `_engine`: exceptions, descriptions of models, the runtime.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "acl/device_state.h"
#include "acl/errors.h"
#include "acl/library.h"
#include "core/signature.h"
#include "engine/acl_load.h"
#include "engine/bindings/completion_queue.h"
#include "engine/bindings/register.h"

namespace py = pybind11;

namespace npuserve::engine::bindings {
namespace {

// Owned by the module, which the interpreter never unloads.
PyObject* acl_error_type = nullptr;
PyObject* library_error_type = nullptr;
PyObject* device_memory_error_type = nullptr;

PyObject* add_exception(py::module_& module, const char* name, const char* doc) {
  const std::string full_name = "npuserve._engine." + std::string(name);
  PyObject* const type = PyErr_NewExceptionWithDoc(full_name.c_str(), doc, PyExc_RuntimeError, nullptr);
  if (type == nullptr) throw py::error_already_set();
  module.add_object(name, py::reinterpret_borrow<py::object>(type));
  return type;
}

void set_acl_error(const acl::Error& error) {
  const py::object raised = py::reinterpret_borrow<py::object>(acl_error_type)(error.what());
  raised.attr("call") = error.call();
  raised.attr("code") = error.code();
  raised.attr("code_name") = py::str(error.code_name().data(), error.code_name().size());
  raised.attr("detail") = error.detail();
  const std::string_view kind = acl::kind_name(error.kind());
  raised.attr("kind") = py::str(kind.data(), kind.size());
  PyErr_SetObject(acl_error_type, raised.ptr());
}

void translate(std::exception_ptr raised) {
  try {
    if (raised) std::rethrow_exception(std::move(raised));
  } catch (const acl::Error& error) {
    set_acl_error(error);
  } catch (const acl::LibraryError& error) {
    PyErr_SetString(library_error_type, error.what());
  } catch (const DoesNotFit& error) {
    PyErr_SetString(device_memory_error_type, error.what());
  }
}

void register_exceptions(py::module_& module) {
  acl_error_type = add_exception(
      module, "AclError", "An AscendCL call failed; it has the attributes call, code, code_name, detail and kind.");
  library_error_type = add_exception(module, "LibraryError", "No AscendCL library could be loaded.");
  device_memory_error_type =
      add_exception(module, "DeviceMemoryError", "A device has less free memory than a model needs; says how much.");
  py::register_exception_translator(translate);
}

py::list to_tuples(const std::vector<core::Shape>& shapes) {
  py::list tuples;
  for (const core::Shape& shape : shapes) tuples.append(to_tuple(shape));
  return tuples;
}

void register_signature(py::module_& module) {
  py::class_<core::TensorSpec>(module, "TensorSpec")
      .def_readonly("name", &core::TensorSpec::name)
      .def_property_readonly("dtype", [](const core::TensorSpec& spec) { return core::dtype_name(spec.dtype); })
      .def_property_readonly("shape", [](const core::TensorSpec& spec) { return to_tuple(spec.shape); });
  py::class_<core::Gear>(module, "Gear")
      .def_property_readonly("input_shapes", [](const core::Gear& gear) { return to_tuples(gear.input_shapes); })
      .def_property_readonly("output_shapes", [](const core::Gear& gear) { return to_tuples(gear.output_shapes); });
  py::class_<core::Signature>(module, "Signature")
      .def_readonly("inputs", &core::Signature::inputs)
      .def_readonly("outputs", &core::Signature::outputs)
      .def_readonly("gears", &core::Signature::gears);
}

void register_device_state(py::module_& module) {
  using acl::DeviceState;
  const auto memory = [](const DeviceState& state) { return state.memory.value_or(acl::DeviceMemoryState{}); };
  py::class_<DeviceState>(module, "DeviceState")
      .def_readonly("physical_id", &DeviceState::physical_id)
      .def_readonly("utilization_percent", &DeviceState::utilization_percent)
      .def_property_readonly("memory_total_bytes", [memory](const DeviceState& s) { return memory(s).total_bytes; })
      .def_property_readonly("memory_free_bytes", [memory](const DeviceState& s) { return memory(s).free_bytes; });
}

bool pin(const RuntimeHandle& handle, int device, const py::object& memory) {
  auto lent = std::make_shared<LentBuffers>();
  const Py_buffer* const buffer = lent->lend(memory.ptr(), PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
  if (buffer == nullptr) throw py::error_already_set();
  const std::span bytes(static_cast<std::byte*>(buffer->buf), static_cast<size_t>(buffer->len));
  const py::gil_scoped_release release;
  return handle.registrars->of_device(device)->add(bytes, std::move(lent));
}

void unpin(const RuntimeHandle& handle, int device, const py::object& memory) {
  LentBuffers lent;
  const Py_buffer* const buffer = lent.lend(memory.ptr());
  if (buffer == nullptr) throw py::error_already_set();
  const auto* const start = static_cast<const std::byte*>(buffer->buf);
  const py::gil_scoped_release release;
  handle.registrars->of_device(device)->remove(start);
}

uint64_t borrowed_inputs(const RuntimeHandle& handle) {
  uint64_t count = 0;
  for (const auto& registrar : handle.registrars->all()) count += registrar->lent();
  return count;
}

void close_runtime(const RuntimeHandle& handle) {
  for (const auto& registrar : handle.registrars->all()) registrar->clear();
  handle.runtime->close();
}

void register_runtime(py::module_& module) {
  using Candidates = std::vector<std::vector<std::string>>;
  const auto open = [](const Candidates& candidates) {
    const auto runtime = acl::Runtime::create(acl::Library::open(candidates));
    return RuntimeHandle{runtime, std::make_shared<HostRegistrars>(runtime)};
  };
  using ReleaseGil = py::call_guard<py::gil_scoped_release>;
  py::class_<RuntimeHandle>(module, "Runtime", py::release_gil_before_calling_cpp_dtor())
      .def(py::init(open), py::arg("candidates"), ReleaseGil())
      .def_property_readonly("library_files",
                             [](const RuntimeHandle& handle) { return handle.runtime->library().files(); })
      .def_property_readonly(
          "soc_name", py::cpp_function([](const RuntimeHandle& h) { return h.runtime->soc_name(); }, ReleaseGil()))
      .def_property_readonly(
          "device_count",
          py::cpp_function([](const RuntimeHandle& h) { return h.runtime->device_count(); }, ReleaseGil()))
      .def_property_readonly("device_allocations",
                             [](const RuntimeHandle& handle) { return handle.runtime->allocations(); })
      .def_property_readonly("failed_releases",
                             [](const RuntimeHandle& handle) {
                               return py::make_tuple(handle.runtime->failed_releases(),
                                                     handle.runtime->last_failed_release());
                             })
      .def(
          "describe",
          [](const RuntimeHandle& handle, const std::string& path, int device) {
            return describe(handle.runtime, path, device);
          },
          py::arg("path"), py::arg("device") = 0, ReleaseGil())
      .def(
          "device_state",
          [](const RuntimeHandle& handle, int device) { return acl::read_device_state(handle.runtime, device); },
          py::arg("device"), ReleaseGil())
      .def("pin", pin, py::arg("device"), py::arg("memory"))
      .def("unpin", unpin, py::arg("device"), py::arg("memory"))
      .def_property_readonly("borrowed_inputs", borrowed_inputs)
      .def("close", close_runtime, ReleaseGil());
}

}  // namespace

std::shared_ptr<acl::HostRegistrar> HostRegistrars::of_device(int device) {
  const core::MutexLock lock(mutex_);
  std::shared_ptr<acl::HostRegistrar>& registrar = by_device_[device];
  if (!registrar) registrar = std::make_shared<acl::HostRegistrar>(runtime_, device);
  return registrar;
}

std::vector<std::shared_ptr<acl::HostRegistrar>> HostRegistrars::all() const {
  const core::MutexLock lock(mutex_);
  std::vector<std::shared_ptr<acl::HostRegistrar>> registrars;
  registrars.reserve(by_device_.size());
  for (const auto& [device, registrar] : by_device_) registrars.push_back(registrar);
  return registrars;
}

py::tuple to_tuple(const std::vector<int64_t>& shape) {
  py::tuple tuple(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) tuple[i] = py::int_(shape[i]);
  return tuple;
}

}  // namespace npuserve::engine::bindings

PYBIND11_MODULE(_engine, module, py::mod_gil_used()) {
  using namespace npuserve::engine::bindings;  // the macro opens no namespace
  module.doc() = "The engine: dynamic batcher, slots and instances over AscendCL.";
  register_exceptions(module);
  register_signature(module);
  register_device_state(module);
  register_runtime(module);
  register_completions(module);
  register_ort(module);
  register_model(module);
  register_scheduler_core(module);
}
