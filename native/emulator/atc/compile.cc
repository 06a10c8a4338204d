#include "emulator/atc/compile.h"

#include <algorithm>
#include <map>
#include <openvino/op/constant.hpp>
#include <openvino/op/parameter.hpp>
#include <openvino/openvino.hpp>
#include <openvino/pass/constant_folding.hpp>
#include <openvino/pass/manager.hpp>
#include <openvino/pass/serialize.hpp>
#include <set>
#include <sstream>

#include "emulator/atc/failure.h"
#include "emulator/atc/graph.h"
#include "emulator/model/om_file.h"
#include "emulator/model/quantization.h"

namespace emulator::atc {
namespace {

Element port_element(const std::string& name, ov::element::Type type) {
  const std::optional<Element> element = element_of(type);
  if (!element) {
    throw Failure("EZ3003", "Tensor [" + name + "] has the type " + type.get_type_name() + ", which no port can have.");
  }
  return *element;
}

std::vector<Port> input_ports(const Graph& graph) {
  std::vector<Port> ports;
  for (size_t i = 0; i < graph.input_names.size(); ++i) {
    const ov::Output<ov::Node> input = graph.model->input(i);
    Port port{graph.input_names[i], port_element(graph.input_names[i], input.get_element_type()), {}};
    for (const ov::Dimension& axis : input.get_partial_shape()) port.dims.push_back(axis.get_max_length());
    ports.push_back(std::move(port));
  }
  return ports;
}

Shape static_shape(const std::string& name, const ov::PartialShape& shape) {
  if (shape.is_dynamic()) {
    throw Failure("EZ3003", "Output [" + name + "] has the shape " + shape.to_string() +
                                ", which depends on the inputs' values; gears need shapes that do not.");
  }
  const ov::Shape dims = shape.to_shape();
  return {dims.begin(), dims.end()};
}

// Whether the compiler computes it once, as it does the dequantized form of a weight.
bool is_known(const ov::Node& node, const std::set<const ov::Node*>& known) {
  const ov::OutputVector sources = node.input_values();
  return std::all_of(sources.begin(), sources.end(), [&](const auto& source) {
    return ov::is_type<ov::op::v0::Constant>(source.get_node()) || known.contains(source.get_node());
  });
}

// The most bytes of results that live at once when operators run in order: what the device's work memory has to hold.
uint64_t peak_bytes(const ov::Model& model) {
  std::map<const ov::Node*, size_t> readers;
  std::set<const ov::Node*> known;
  uint64_t live = 0;
  uint64_t peak = 0;
  const auto bytes = [](const ov::Node& node) {
    uint64_t sum = 0;
    for (const ov::Output<const ov::Node>& output : node.outputs()) {
      if (output.get_partial_shape().is_static())
        sum += ov::shape_size(output.get_shape()) * output.get_element_type().size();
    }
    return sum;
  };
  for (const std::shared_ptr<ov::Node>& node : model.get_ordered_ops()) {
    if (ov::is_type<ov::op::v0::Constant>(node) || ov::is_type<ov::op::v0::Parameter>(node)) continue;
    if (is_known(*node, known)) {
      known.insert(node.get());
      continue;
    }
    for (const ov::Output<ov::Node>& output : node->outputs()) readers[node.get()] += output.get_target_inputs().size();
    live += bytes(*node);
    peak = std::max(peak, live);
    for (const ov::Output<ov::Node>& source : node->input_values()) {
      const auto reader = readers.find(source.get_node());
      if (reader != readers.end() && --reader->second == 0) live -= bytes(*source.get_node());
    }
  }
  return peak;
}

void compile_gear(const Graph& graph, const std::vector<int64_t>& values, Metadata& metadata) {
  Gear gear;
  gear.values = values;
  std::vector<Shape> dims;
  dims.reserve(metadata.inputs.size());
  for (const Port& port : metadata.inputs) dims.push_back(port.dims);
  gear.input_shapes = shapes_of_gear(dims, metadata.gear_kind, values);
  const std::shared_ptr<ov::Model> shaped = graph.model->clone();
  std::map<size_t, ov::PartialShape> shapes;
  for (size_t i = 0; i < gear.input_shapes.size(); ++i) shapes[i] = ov::PartialShape(gear.input_shapes[i]);
  try {
    if (metadata.gear_kind != GearKind::none) shaped->reshape(shapes);
  } catch (const ov::Exception& error) {
    throw Failure("E19999", std::string("The model cannot be compiled for a gear: ") + error.what());
  }
  for (size_t i = 0; i < graph.output_tensors.size(); ++i) {
    gear.output_shapes.push_back(static_shape(graph.output_tensors[i], shaped->output(i).get_partial_shape()));
  }
  metadata.work_bytes = std::max(metadata.work_bytes, peak_bytes(*shaped));
  metadata.gears.push_back(std::move(gear));
}

Metadata describe(const Graph& graph, const Options& options, PrecisionResult precision) {
  Metadata metadata;
  metadata.inputs = input_ports(graph);
  metadata.gear_kind = options.shapes.gear_kind;
  for (const std::vector<int64_t>& values : options.shapes.gears) compile_gear(graph, values, metadata);
  const Gear& largest = metadata.gears[metadata.largest_gear()];
  for (size_t i = 0; i < graph.output_tensors.size(); ++i) {
    const ov::element::Type type = graph.model->output(i).get_element_type();
    metadata.outputs.push_back(
        {graph.output_names[i], port_element(graph.output_tensors[i], type), largest.output_shapes[i]});
  }
  metadata.format = options.format;
  metadata.precision_mode = options.precision_name;
  metadata.soc_version = options.soc_version;
  metadata.command_line = options.command_line;
  metadata.operators = std::move(precision.operators);
  metadata.weight_bytes = precision.weight_bytes;
  return metadata;
}

}  // namespace

Metadata compile(const Options& options) {
  Graph graph = read_graph(options);
  keep_integer_weights(*graph.model);
  ov::pass::Manager folding;
  folding.register_pass<ov::pass::ConstantFolding>();
  folding.run_passes(graph.model);
  PrecisionRules rules = options.precision;
  rules.keep_tensors = graph.kept_tensors;
  rules.faults = graph.faulty_tensors;
  PrecisionResult precision = apply_precision(*graph.model, rules);
  set_port_types(graph, options);
  const Metadata metadata = describe(graph, options, std::move(precision));
  std::ostringstream xml;
  std::ostringstream weights;
  ov::pass::Serialize(xml, weights).run_on_model(graph.model);
  const std::string weight_bytes = std::move(weights).str();
  try {
    write_om(options.output, options.output.stem().string(), metadata, xml.str(),
             std::as_bytes(std::span(weight_bytes)));
  } catch (const OmError& error) {
    throw Failure("E13001", error.what());
  }
  return metadata;
}

}  // namespace emulator::atc
