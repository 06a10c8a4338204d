// What an ONNX file says of its graph's outside: names that OpenVINO's model no longer has.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace emulator::atc {

struct OnnxNode {
  std::string name;  // "Type_index" where the file gives none
  std::string type;
  std::vector<std::string> outputs;
};

struct OnnxOutline {
  std::vector<std::string> inputs;  // without the initializers, which older files list as inputs
  std::vector<std::string> outputs;
  std::vector<OnnxNode> nodes;

  // "node:index" of the node that computes the tensor; the tensor's own name if it is a graph input.
  std::string producer(const std::string& tensor) const;
};

// Throws Failure: E13001 when the file cannot be read, E16001 when it is no ONNX model.
OnnxOutline read_onnx_outline(const std::filesystem::path& path);

}  // namespace emulator::atc
