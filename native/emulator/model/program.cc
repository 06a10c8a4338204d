#include "emulator/model/program.h"

#include <cstring>
#include <map>
#include <mutex>
#include <openvino/openvino.hpp>
#include <optional>
#include <utility>

#include "emulator/model/int8_kernels.h"
#include "emulator/model/openvino_core.h"
#include "emulator/model/quantization.h"

namespace emulator {

namespace {

// Where an output comes from. Given memory for an output that is an input, or is another output too, OpenVINO reads or
// writes the wrong one of the two: only outputs that are computed, each once, are left to it, the rest is copied.
struct Source {
  enum class Kind { computed, input, output } kind;
  size_t index;  // of the compiled graph's result, the input, or the earlier output
};

struct Wiring {
  std::vector<Source> outputs;
  ov::ResultVector computed;
};

Wiring wire(const ov::Model& model) {
  Wiring wiring;
  std::map<ov::Output<ov::Node>, size_t> seen;
  for (const std::shared_ptr<ov::op::v0::Result>& result : model.get_results()) {
    const ov::Output<ov::Node> value = result->input_value(0);
    const auto parameter = ov::as_type_ptr<ov::op::v0::Parameter>(value.get_node_shared_ptr());
    const auto [earlier, first] = seen.try_emplace(value, wiring.outputs.size());
    if (parameter) {
      const auto input = static_cast<size_t>(model.get_parameter_index(parameter));
      wiring.outputs.push_back({Source::Kind::input, input});
    } else if (!first) {
      wiring.outputs.push_back({Source::Kind::output, earlier->second});
    } else {
      wiring.outputs.push_back({Source::Kind::computed, wiring.computed.size()});
      wiring.computed.push_back(result);
    }
  }
  return wiring;
}

ov::CompiledModel compile(const ov::Model& model, const Gear& gear, int threads) {
  const std::shared_ptr<ov::Model> shaped = model.clone();
  std::map<size_t, ov::PartialShape> shapes;
  for (size_t i = 0; i < gear.input_shapes.size(); ++i) shapes[i] = ov::PartialShape(gear.input_shapes[i]);
  shaped->reshape(shapes);
  // One stream: an execution has all the threads, as an NPU's execution has all the cores.
  ov::AnyMap options{ov::hint::inference_precision(ov::element::f32),
                     ov::hint::execution_mode(ov::hint::ExecutionMode::ACCURACY),
                     ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY), ov::num_streams(1)};
  if (threads > 0) options.insert(ov::inference_num_threads(threads));
  if (is_quantized(*shaped)) {
    // The kernel that the plugin generates for two products in a row is wrong for some int8 shapes (4 and 8 rows).
    options["SNIPPETS_MODE"] = "DISABLE";
    if (!int8_kernels_are_exact()) options["LP_TRANSFORMS_MODE"] = false;
  }
  return openvino_core().compile_model(shaped, "CPU", options);
}

}  // namespace

class Program {
 public:
  Program(const OmFile& file, int threads)
      : bytes_(file.bytes), metadata_(file.metadata), threads_(threads), gears_(metadata_.gears.size()) {
    const ov::Tensor weights(ov::element::u8, {file.weights.size()}, const_cast<std::byte*>(file.weights.data()));
    const std::shared_ptr<ov::Model> model = openvino_core().read_model(file.graph, weights);
    Wiring wiring = wire(*model);
    sources_ = std::move(wiring.outputs);
    if (wiring.computed.empty()) return;
    computed_ = std::make_shared<ov::Model>(wiring.computed, model->get_parameters());
  }

  const Metadata& metadata() const { return metadata_; }
  const std::vector<Source>& sources() const { return sources_; }
  bool computes() const { return computed_ != nullptr; }

  // Compiles the gear if this is its first use. REQUIRES: computes().
  ov::InferRequest request(size_t gear) const {
    const std::scoped_lock lock(mutex_);
    std::optional<ov::CompiledModel>& compiled = gears_.at(gear);
    if (!compiled) compiled = compile(*computed_, metadata_.gears[gear], threads_);
    return compiled->create_infer_request();
  }

 private:
  const std::shared_ptr<const OmBytes> bytes_;  // the graph's weights lie in it
  const Metadata metadata_;
  const int threads_;
  std::vector<Source> sources_;
  std::shared_ptr<const ov::Model> computed_;  // none when every output is an input
  mutable std::mutex mutex_;
  mutable std::vector<std::optional<ov::CompiledModel>> gears_;  // guarded by mutex_
};

struct Execution::Requests {
  std::vector<std::optional<ov::InferRequest>> gears;
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
  requests_->gears.resize(program_->metadata().gears.size());
}

Execution::~Execution() = default;

void Execution::run(size_t gear, std::span<const std::byte* const> inputs, std::span<std::byte* const> outputs) {
  const Metadata& metadata = program_->metadata();
  const std::vector<Source>& sources = program_->sources();
  const auto tensor = [](const Port& port, const Shape& shape, const std::byte* data) {
    return ov::Tensor(openvino_type(port.element), ov::Shape(shape.begin(), shape.end()), const_cast<std::byte*>(data));
  };
  if (program_->computes()) {
    std::optional<ov::InferRequest>& made = requests_->gears.at(gear);
    if (!made) made = program_->request(gear);
    ov::InferRequest& request = *made;
    for (size_t i = 0; i < inputs.size(); ++i) {
      request.set_input_tensor(i, tensor(metadata.inputs[i], metadata.gears[gear].input_shapes[i], inputs[i]));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (sources[i].kind != Source::Kind::computed) continue;
      const Shape& shape = metadata.gears[gear].output_shapes[i];
      request.set_output_tensor(sources[i].index, tensor(metadata.outputs[i], shape, outputs[i]));
    }
    request.infer();
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (sources[i].kind == Source::Kind::computed) continue;
    const size_t bytes = byte_size(metadata.outputs[i].element, metadata.gears[gear].output_shapes[i]);
    const bool from_input = sources[i].kind == Source::Kind::input;
    std::memcpy(outputs[i], from_input ? inputs[sources[i].index] : outputs[sources[i].index], bytes);
  }
}

}  // namespace emulator
