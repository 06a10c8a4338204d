#include "ort/session.h"

#include "ort/call.h"

namespace npuserve::ort {
namespace {

Owned<OrtSessionOptions> make(const std::shared_ptr<const Runtime>& runtime, const SessionOptions& options) {
  const FunctionTable& functions = runtime->functions();
  OrtSessionOptions* created = nullptr;
  check(functions, functions.create_session_options(&created));
  Owned<OrtSessionOptions> made(runtime, created, functions.release_session_options);
  check(functions, functions.set_graph_optimization_level(created, options.graph_optimization_level));
  check(functions, functions.set_execution_mode(created, options.execution_mode));
  check(functions, functions.set_intra_op_num_threads(created, options.intra_op_threads));
  check(functions, functions.set_inter_op_num_threads(created, options.inter_op_threads));
  check(functions,
        options.memory_arena ? functions.enable_cpu_mem_arena(created) : functions.disable_cpu_mem_arena(created));
  check(functions,
        options.memory_pattern ? functions.enable_mem_pattern(created) : functions.disable_mem_pattern(created));
  for (const auto& [key, value] : options.entries) {
    check(functions, functions.add_session_config_entry(created, key.c_str(), value.c_str()));
  }
  return made;
}

OrtSession* open(const std::shared_ptr<const Runtime>& runtime, const std::string& path,
                 const SessionOptions& options) {
  const Owned<OrtSessionOptions> made = make(runtime, options);
  OrtSession* session = nullptr;
  const FunctionTable& functions = runtime->functions();
  check(functions, functions.create_session(runtime->environment(), path.c_str(), made.get(), &session));
  return session;
}

std::vector<const char*> pointers(const std::vector<std::string>& names) {
  std::vector<const char*> starts;
  starts.reserve(names.size());
  for (const std::string& name : names) starts.push_back(name.c_str());
  return starts;
}

}  // namespace

Session::Session(const std::shared_ptr<const Runtime>& runtime, const std::string& path, const SessionOptions& options,
                 std::vector<std::string> inputs, std::vector<std::string> outputs)
    : runtime_(runtime),
      session_(runtime, open(runtime, path, options), runtime->functions().release_session),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)),
      input_names_(pointers(inputs_)),
      output_names_(pointers(outputs_)) {}

void Session::run(std::span<const OrtValue* const> inputs, std::span<OrtValue*> outputs) const {
  run(nullptr, inputs, outputs);
}

void Session::run(const OrtRunOptions* options, std::span<const OrtValue* const> inputs,
                  std::span<OrtValue*> outputs) const {
  const FunctionTable& functions = runtime_->functions();
  check(functions, functions.run(session_.get(), options, input_names_.data(), inputs.data(), inputs.size(),
                                 output_names_.data(), outputs.size(), outputs.data()));
}

std::vector<core::Shape> Session::output_shapes(std::span<const OrtValue* const> inputs) const {
  std::vector<OrtValue*> made(outputs_.size(), nullptr);
  run(runtime_->silent_run(), inputs, made);
  std::vector<Owned<OrtValue>> outputs;
  outputs.reserve(made.size());
  for (OrtValue* const value : made) outputs.emplace_back(runtime_, value, runtime_->functions().release_value);
  std::vector<core::Shape> shapes;
  shapes.reserve(outputs.size());
  for (const Owned<OrtValue>& output : outputs) shapes.push_back(shape_of(output.get()));
  return shapes;
}

core::Shape Session::shape_of(const OrtValue* value) const {
  const FunctionTable& functions = runtime_->functions();
  OrtTensorTypeAndShapeInfo* told = nullptr;
  check(functions, functions.get_tensor_type_and_shape(value, &told));
  const Owned<OrtTensorTypeAndShapeInfo> info(runtime_, told, functions.release_shape);
  size_t rank = 0;
  check(functions, functions.get_dimensions_count(told, &rank));
  core::Shape shape(rank);
  check(functions, functions.get_dimensions(told, shape.data(), rank));
  return shape;
}

}  // namespace npuserve::ort
