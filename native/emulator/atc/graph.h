// The ONNX graph as the compiler changes it: chosen outputs, shapes, port types.
#pragma once

#include <map>
#include <memory>
#include <openvino/core/model.hpp>
#include <set>
#include <string>
#include <vector>

#include "emulator/atc/onnx_outline.h"
#include "emulator/atc/options.h"

namespace emulator::atc {

struct Graph {
  std::shared_ptr<ov::Model> model;
  std::vector<std::string> input_names;
  std::vector<std::string> output_tensors;               // ONNX names
  std::vector<std::string> output_names;                 // node:index:tensor
  std::set<std::string> kept_tensors;                    // what the nodes of --keep_dtype compute
  std::map<std::string, PrecisionFault> faulty_tensors;  // what nodes with a fault compute
};

// Reads the ONNX file, takes --out_nodes as outputs, and gives the inputs the shapes of --input_shape (-1 kept).
// Throws Failure: E10016 for unknown names, E10001 for shapes that do not fit, E16001, E19010.
Graph read_graph(const Options& options);

// Gives outputs and inputs the types of --output_type and --input_fp16_nodes, by casts at the ports.
void set_port_types(Graph& graph, const Options& options);

}  // namespace emulator::atc
