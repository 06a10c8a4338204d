#include "emulator/model/program.h"

#include <cstring>
#include <map>
#include <mutex>
#include <openvino/openvino.hpp>
#include <utility>

#include "emulator/model/openvino_core.h"

namespace emulator {

class Program {
 public:
  Program(const OmFile& file, int threads) : bytes_(file.bytes), metadata_(file.metadata) {
    const ov::Tensor weights(ov::element::u8, {file.weights.size()}, const_cast<std::byte*>(file.weights.data()));
    const std::shared_ptr<ov::Model> model = openvino_core().read_model(file.graph, weights);
    find_passed_inputs(*model);
    for (const Gear& gear : metadata_.gears) gears_.push_back(compile(*model, gear, threads));
  }

  const Metadata& metadata() const { return metadata_; }
  const std::vector<ov::CompiledModel>& gears() const { return gears_; }
  // Outputs that are inputs, unchanged: (output, input). OpenVINO does not write such an output into memory it is
  // given.
  const std::vector<std::pair<size_t, size_t>>& passed_inputs() const { return passed_inputs_; }

 private:
  void find_passed_inputs(const ov::Model& model) {
    for (size_t i = 0; i < model.get_results().size(); ++i) {
      const ov::Output<ov::Node> source = model.get_results()[i]->input_value(0);
      const auto parameter = ov::as_type_ptr<ov::op::v0::Parameter>(source.get_node_shared_ptr());
      if (parameter) passed_inputs_.emplace_back(i, static_cast<size_t>(model.get_parameter_index(parameter)));
    }
  }

  static ov::CompiledModel compile(const ov::Model& model, const Gear& gear, int threads) {
    const std::shared_ptr<ov::Model> shaped = model.clone();
    std::map<size_t, ov::PartialShape> shapes;
    for (size_t i = 0; i < gear.input_shapes.size(); ++i) shapes[i] = ov::PartialShape(gear.input_shapes[i]);
    shaped->reshape(shapes);
    // One stream: an execution has all the threads, as an NPU's execution has all the cores.
    ov::AnyMap options{ov::hint::inference_precision(ov::element::f32),
                       ov::hint::execution_mode(ov::hint::ExecutionMode::ACCURACY),
                       ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY), ov::num_streams(1)};
    if (threads > 0) options.insert(ov::inference_num_threads(threads));
    return openvino_core().compile_model(shaped, "CPU", options);
  }

  std::shared_ptr<const OmBytes> bytes_;  // the compiled graphs' weights lie in it
  Metadata metadata_;
  std::vector<std::pair<size_t, size_t>> passed_inputs_;
  std::vector<ov::CompiledModel> gears_;
};

struct Execution::Requests {
  std::vector<ov::InferRequest> gears;
};

std::shared_ptr<const Program> load_program(const OmFile& file, int threads) {
  static std::mutex mutex;
  static std::map<std::pair<uint64_t, int>, std::weak_ptr<const Program>> programs;
  const std::scoped_lock lock(mutex);
  std::weak_ptr<const Program>& known = programs[{file.identity, threads}];
  if (std::shared_ptr<const Program> program = known.lock()) return program;
  try {
    auto program = std::make_shared<const Program>(file, threads);
    known = program;
    return program;
  } catch (const ov::Exception& error) {
    throw OmError(OmFault::damaged, std::string("the OM's graph cannot be loaded: ") + error.what());
  }
}

Execution::Execution(std::shared_ptr<const Program> program)
    : program_(std::move(program)), requests_(std::make_unique<Requests>()) {
  for (ov::CompiledModel gear : program_->gears()) requests_->gears.push_back(gear.create_infer_request());
}

Execution::~Execution() = default;

void Execution::run(size_t gear, std::span<const std::byte* const> inputs, std::span<std::byte* const> outputs) {
  ov::InferRequest& request = requests_->gears.at(gear);
  const Metadata& metadata = program_->metadata();
  const auto tensor = [](const Port& port, const Shape& shape, const std::byte* data) {
    return ov::Tensor(openvino_type(port.element), ov::Shape(shape.begin(), shape.end()), const_cast<std::byte*>(data));
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    request.set_input_tensor(i, tensor(metadata.inputs[i], metadata.gears[gear].input_shapes[i], inputs[i]));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    request.set_output_tensor(i, tensor(metadata.outputs[i], metadata.gears[gear].output_shapes[i], outputs[i]));
  }
  if (outputs.size() > program_->passed_inputs().size()) request.infer();
  for (const auto& [output, input] : program_->passed_inputs()) {
    const Shape& shape = metadata.gears[gear].output_shapes[output];
    std::memcpy(outputs[output], inputs[input], byte_size(metadata.outputs[output].element, shape));
  }
}

}  // namespace emulator
