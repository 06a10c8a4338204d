// ONNX Runtime for Python: the library, a session that tells shapes, and what makes the executors of a model.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/bindings/register.h"
#include "engine/ort_executor.h"
#include "ort/errors.h"
#include "ort/runtime.h"
#include "ort/session.h"
#include "ort/tensor.h"

namespace py = pybind11;

namespace npuserve::engine::bindings {
namespace {

constexpr int64_t kMeasuringNs = 400'000'000;  // what loading a model may be longer for knowing what its gears cost

using PythonSpec = std::tuple<std::string, std::string, core::Shape>;  // name, dtype, full shape
using PythonGear = std::tuple<std::vector<core::Shape>, std::vector<core::Shape>>;

std::vector<core::TensorSpec> make_specs(const std::vector<PythonSpec>& given) {
  std::vector<core::TensorSpec> specs;
  specs.reserve(given.size());
  for (const auto& [name, dtype, shape] : given) {
    const std::optional<core::Dtype> known = core::dtype_from_name(dtype);
    if (!known) throw py::value_error("unknown dtype '" + dtype + "'");
    specs.push_back({name, *known, shape});
  }
  return specs;
}

void check_shapes(const std::vector<core::Shape>& shapes, const std::vector<core::TensorSpec>& specs) {
  if (shapes.size() != specs.size()) throw py::value_error("a gear must have a shape for each tensor");
  for (size_t i = 0; i < shapes.size(); ++i) {
    if (shapes[i].size() != specs[i].shape.size()) {
      throw py::value_error("the shapes of '" + specs[i].name + "' must be of one rank");
    }
  }
}

core::Signature make_signature(const std::vector<PythonSpec>& inputs, const std::vector<PythonSpec>& outputs,
                               const std::vector<PythonGear>& gears) {
  core::Signature signature{.inputs = make_specs(inputs), .outputs = make_specs(outputs), .gears = {}};
  if (gears.empty()) throw py::value_error("a signature needs a gear");
  for (const auto& [input_shapes, output_shapes] : gears) {
    check_shapes(input_shapes, signature.inputs);
    check_shapes(output_shapes, signature.outputs);
    signature.gears.push_back({input_shapes, output_shapes});
  }
  return signature;
}

std::vector<std::string> names_of(const std::vector<core::TensorSpec>& specs) {
  std::vector<std::string> names;
  names.reserve(specs.size());
  for (const core::TensorSpec& spec : specs) names.push_back(spec.name);
  return names;
}

// One in the tensor's element type.
void fill_with_one(std::span<std::byte> memory, core::Dtype dtype) {
  const size_t size = core::dtype_size_bytes(dtype);
  std::array<std::byte, 8> one{std::byte{1}};  // little-endian integers and bool
  if (dtype == core::Dtype::kFp16) one = {std::byte{0x00}, std::byte{0x3c}};
  if (dtype == core::Dtype::kFp32) one = {std::byte{0x00}, std::byte{0x00}, std::byte{0x80}, std::byte{0x3f}};
  if (dtype == core::Dtype::kFp64) {
    constexpr double kOne = 1;
    std::memcpy(one.data(), &kOne, sizeof(kOne));
  }
  for (size_t at = 0; at < memory.size(); at += size) std::memcpy(memory.data() + at, one.data(), size);
}

// Python's OnnxSession.
struct SessionHandle {
  std::vector<core::TensorSpec> inputs;
  ort::Session session;

  std::vector<core::Shape> output_shapes(const std::vector<core::Shape>& shapes, bool ones) const {
    check_shapes(shapes, inputs);
    std::vector<std::vector<std::byte>> memory;
    std::vector<ort::Tensor> tensors;
    std::vector<const ort::OrtValue*> values;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const size_t bytes = core::byte_count(shapes[i], core::dtype_size_bytes(inputs[i].dtype));
      const std::span all(memory.emplace_back(std::max<size_t>(1, bytes)));
      const std::span used = all.first(bytes);
      if (ones) fill_with_one(used, inputs[i].dtype);
      values.push_back(tensors.emplace_back(session.runtime(), inputs[i].dtype, shapes[i], used).get());
    }
    return session.output_shapes(values);
  }
};

py::list tuples_of(const std::vector<core::Shape>& shapes) {
  py::list tuples;
  for (const core::Shape& shape : shapes) tuples.append(to_tuple(shape));
  return tuples;
}

}  // namespace

std::vector<std::unique_ptr<Executor>> make_ort_executors(const OrtHandle& runtime, const std::string& path,
                                                          const ort::SessionOptions& options, bool share_session,
                                                          const core::Signature& signature, size_t instances) {
  std::vector<std::unique_ptr<Executor>> executors;
  std::shared_ptr<const ort::Session> session;
  for (size_t i = 0; i < instances; ++i) {
    if (!session || !share_session) {
      session = std::make_shared<const ort::Session>(runtime.runtime, path, options, names_of(signature.inputs),
                                                     names_of(signature.outputs));
    }
    // One slot: the thread that gathers a batch also runs it.
    auto executor = std::make_unique<OrtExecutor>(session, signature, 1);
    if (executors.empty()) {
      executor->measure_costs(kMeasuringNs);
    } else {
      executor->warm_up(executors.front()->costs_ns());
    }
    executors.push_back(std::move(executor));
  }
  return executors;
}

void register_ort(py::module_& module) {
  using ReleaseGil = py::call_guard<py::gil_scoped_release>;
  py::register_exception<ort::LibraryError>(module, "OnnxLibraryError", PyExc_RuntimeError);
  py::register_exception<ort::Error>(module, "OnnxError", PyExc_RuntimeError);
  module.def("make_signature", make_signature, py::kw_only(), py::arg("inputs"), py::arg("outputs"), py::arg("gears"));
  py::class_<OrtHandle>(module, "OnnxRuntime", py::release_gil_before_calling_cpp_dtor())
      .def(py::init([](const std::string& file) { return OrtHandle{ort::Runtime::open(file)}; }), py::arg("file"),
           ReleaseGil())
      .def_property_readonly("version", [](const OrtHandle& handle) { return handle.runtime->version(); });
  py::class_<ort::SessionOptions>(module, "OnnxOptions")
      .def(py::init([](int graph_optimization_level, int execution_mode, int intra_op_threads, int inter_op_threads,
                       bool memory_arena, bool memory_pattern,
                       std::vector<std::pair<std::string, std::string>> entries) {
             return ort::SessionOptions{.graph_optimization_level = graph_optimization_level,
                                        .execution_mode = execution_mode,
                                        .intra_op_threads = intra_op_threads,
                                        .inter_op_threads = inter_op_threads,
                                        .memory_arena = memory_arena,
                                        .memory_pattern = memory_pattern,
                                        .entries = std::move(entries)};
           }),
           py::kw_only(), py::arg("graph_optimization_level"), py::arg("execution_mode"), py::arg("intra_op_threads"),
           py::arg("inter_op_threads"), py::arg("memory_arena"), py::arg("memory_pattern"), py::arg("entries"));
  py::class_<SessionHandle>(module, "OnnxSession", py::release_gil_before_calling_cpp_dtor())
      .def(py::init([](const OrtHandle& runtime, const std::string& path, const ort::SessionOptions& options,
                       const std::vector<PythonSpec>& inputs, std::vector<std::string> outputs) {
             std::vector<core::TensorSpec> specs = make_specs(inputs);
             ort::Session session(runtime.runtime, path, options, names_of(specs), std::move(outputs));
             return std::make_unique<SessionHandle>(std::move(specs), std::move(session));
           }),
           py::arg("runtime"), py::arg("path"), py::arg("options"), py::arg("inputs"), py::arg("outputs"), ReleaseGil())
      .def(
          "output_shapes",
          [](const SessionHandle& handle, const std::vector<core::Shape>& shapes, bool ones) {
            std::vector<core::Shape> told;
            {
              const py::gil_scoped_release release;
              told = handle.output_shapes(shapes, ones);
            }
            return tuples_of(told);
          },
          py::arg("shapes"), py::arg("ones") = false);
}

}  // namespace npuserve::engine::bindings
