#include "emulator/atc/graph.h"

#include <algorithm>
#include <map>
#include <openvino/op/convert.hpp>
#include <openvino/op/parameter.hpp>
#include <openvino/op/result.hpp>
#include <openvino/openvino.hpp>

#include "emulator/atc/failure.h"
#include "emulator/atc/text.h"
#include "emulator/model/openvino_core.h"

namespace emulator::atc {
namespace {

std::shared_ptr<ov::Model> read_model(const std::filesystem::path& path) {
  try {
    return openvino_core().read_model(path.string());
  } catch (const ov::Exception& error) {
    static constexpr std::string_view kUnknown = "No conversion rule found for operations: ";
    const std::string text = error.what();
    const size_t unknown = text.find(kUnknown);
    if (unknown != std::string::npos) {
      throw Failure("E19010", "No parser is registered for Op [" + trim(text.substr(unknown + kUnknown.size())) + "].");
    }
    throw Failure("E16001", "The model [" + path.string() + "] is not valid: " + text);
  }
}

void check_input_names(const Options& options, const OnnxOutline& outline) {
  const auto check = [&](const std::string& flag, const std::string& name) {
    if (std::find(outline.inputs.begin(), outline.inputs.end(), name) == outline.inputs.end()) {
      throw Failure("E10016",
                    "Op name [" + name + "] specified in [--" + flag + "] is not found in the model's inputs.");
    }
  };
  for (const InputShape& input : options.shapes.inputs) check("input_shape", input.name);
  for (const std::string& name : options.fp16_inputs) check("input_fp16_nodes", name);
}

std::string tensor_of(const NodeOutput& node, const OnnxOutline& outline) {
  for (const OnnxNode& each : outline.nodes) {
    for (size_t i = 0; i < each.outputs.size(); ++i) {
      const bool matches = node.index < 0 ? each.outputs[i] == node.name
                                          : each.name == node.name && static_cast<size_t>(node.index) == i;
      if (matches) return each.outputs[i];
    }
  }
  throw Failure("E10016", "Op name [" + node.name + "] specified in [--out_nodes] is not found in the model.");
}

std::set<std::string> kept_tensors(const Options& options, const OnnxOutline& outline) {
  std::set<std::string> tensors;
  for (const std::string& name : options.keep_names) {
    const auto node = std::find_if(outline.nodes.begin(), outline.nodes.end(),
                                   [&](const OnnxNode& each) { return each.name == name; });
    if (node == outline.nodes.end()) {
      throw Failure("E10016", "Op name [" + name + "] specified in [--keep_dtype] is not found in the model.");
    }
    tensors.insert(node->outputs.begin(), node->outputs.end());
  }
  return tensors;
}

// A node that the model does not have is no mistake: the setting is for all compilations of a run.
std::map<std::string, PrecisionFault> faulty_tensors(const Options& options, const OnnxOutline& outline) {
  std::map<std::string, PrecisionFault> tensors;
  for (const OnnxNode& node : outline.nodes) {
    const auto fault = options.precision_faults.find(node.name);
    if (fault == options.precision_faults.end()) continue;
    for (const std::string& tensor : node.outputs) tensors[tensor] = fault->second;
  }
  return tensors;
}

void choose_outputs(Graph& graph, const Options& options, const OnnxOutline& outline) {
  if (options.out_nodes.empty()) {
    graph.output_tensors = outline.outputs;
    return;
  }
  const std::vector<std::shared_ptr<ov::op::v0::Result>> former = graph.model->get_results();
  std::map<std::string, ov::Output<ov::Node>> values;
  for (const std::shared_ptr<ov::Node>& node : graph.model->get_ops()) {
    for (const ov::Output<ov::Node>& output : node->outputs()) {
      for (const std::string& name : output.get_names()) values[name] = output;
    }
  }
  ov::ResultVector results;
  for (const NodeOutput& node : options.out_nodes) {
    const std::string tensor = tensor_of(node, outline);
    if (!values.contains(tensor)) {
      throw Failure("E10016", "Output [" + tensor + "] of [--out_nodes] is not kept by the compiled graph.");
    }
    results.push_back(std::make_shared<ov::op::v0::Result>(values[tensor]));
    graph.output_tensors.push_back(tensor);
  }
  graph.model = std::make_shared<ov::Model>(results, graph.model->get_parameters());
}

std::string dims_text(const ov::PartialShape& shape) {
  std::string text = shape.to_string();
  std::replace(text.begin(), text.end(), '?', '*');
  return text;
}

void set_shapes(Graph& graph, const Options& options) {
  std::map<size_t, ov::PartialShape> shapes;
  for (size_t i = 0; i < graph.input_names.size(); ++i) {
    const ov::PartialShape declared = graph.model->input(i).get_partial_shape();
    const auto& inputs = options.shapes.inputs;
    const auto given = std::find_if(inputs.begin(), inputs.end(),
                                    [&](const InputShape& each) { return each.name == graph.input_names[i]; });
    const bool listed = given != inputs.end();
    if (!listed && declared.is_dynamic()) {
      invalid_value(
          "input_shape", "",
          "Input [" + graph.input_names[i] + "] has the dynamic shape " + dims_text(declared) + " and must be listed.");
    }
    if (!listed) continue;
    const ov::PartialShape wanted(given->dims);
    if (!declared.compatible(wanted)) {
      invalid_value("input_shape", graph.input_names[i] + ":" + dims_text(wanted),
                    "The model declares the shape " + dims_text(declared) + ".");
    }
    shapes[i] = wanted;
  }
  if (shapes.empty()) return;
  try {
    graph.model->reshape(shapes);
  } catch (const ov::Exception& error) {
    throw Failure("E19999", std::string("The model does not allow the shapes of [--input_shape]: ") + error.what());
  }
}

// Inputs by the ONNX file's order, which is the order of ports in the OM.
void order_inputs(Graph& graph, const OnnxOutline& outline) {
  ov::ParameterVector parameters;
  for (const std::string& name : outline.inputs) {
    const ov::ParameterVector& all = graph.model->get_parameters();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& each) { return each->get_friendly_name() == name; });
    if (found == all.end()) throw Failure("E16001", "Input [" + name + "] of the model cannot be compiled.");
    parameters.push_back(*found);
  }
  graph.model = std::make_shared<ov::Model>(graph.model->get_results(), parameters);
  graph.input_names = outline.inputs;
}

// Identities compute nothing: the device's graph has none.
void remove_identities(const ov::Model& model) {
  for (const std::shared_ptr<ov::Node>& node : model.get_ordered_ops()) {
    if (std::string_view(node->get_type_name()) == "Identity") node->output(0).replace(node->input_value(0));
  }
}

void cast_input(ov::op::v0::Parameter& parameter, ov::element::Type type) {
  const ov::Output<ov::Node> port = parameter.output(0);
  const ov::element::Type original = port.get_element_type();
  const std::set<ov::Input<ov::Node>> consumers = port.get_target_inputs();
  parameter.set_element_type(type);
  parameter.validate_and_infer_types();
  const auto cast = std::make_shared<ov::op::v0::Convert>(port, original);
  for (ov::Input<ov::Node> consumer : consumers) consumer.replace_source_output(cast);
}

}  // namespace

Graph read_graph(const Options& options) {
  const OnnxOutline outline = read_onnx_outline(options.model);
  check_input_names(options, outline);
  Graph graph;
  graph.model = read_model(options.model);
  choose_outputs(graph, options, outline);
  remove_identities(*graph.model);
  order_inputs(graph, outline);
  for (const std::string& tensor : graph.output_tensors) {
    graph.output_names.push_back(outline.producer(tensor) + ":" + tensor);
  }
  graph.kept_tensors = kept_tensors(options, outline);
  graph.faulty_tensors = faulty_tensors(options, outline);
  set_shapes(graph, options);
  return graph;
}

void set_port_types(Graph& graph, const Options& options) {
  for (size_t i = 0; i < graph.input_names.size(); ++i) {
    const auto& names = options.fp16_inputs;
    if (std::find(names.begin(), names.end(), graph.input_names[i]) == names.end()) continue;
    cast_input(*graph.model->get_parameters()[i], ov::element::f16);
  }
  for (size_t i = 0; i < graph.output_tensors.size(); ++i) {
    std::optional<Element> type = options.output_type;
    if (!options.out_nodes.empty() && options.output_types.contains(options.out_nodes[i])) {
      type = options.output_types.at(options.out_nodes[i]);
    }
    const std::shared_ptr<ov::Node> result = graph.model->get_results()[i];
    const ov::Output<ov::Node> source = result->input_value(0);
    if (!type || source.get_element_type() == openvino_type(*type)) continue;
    result->input(0).replace_source_output(std::make_shared<ov::op::v0::Convert>(source, openvino_type(*type)));
  }
  graph.model->validate_nodes_and_infer_types();
}

}  // namespace emulator::atc
