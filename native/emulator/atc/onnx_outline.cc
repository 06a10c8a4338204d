#include "emulator/atc/onnx_outline.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string_view>

#include "emulator/atc/failure.h"
#include "emulator/atc/text.h"

namespace emulator::atc {
namespace {

// Field numbers of onnx.proto.
enum ModelField : uint64_t { kModelGraph = 7 };
enum GraphField : uint64_t { kGraphNode = 1, kGraphInitializer = 5, kGraphInput = 11, kGraphOutput = 12 };
enum NodeField : uint64_t { kNodeOutput = 2, kNodeName = 3, kNodeType = 4 };
constexpr uint64_t kValueName = 1;
constexpr uint64_t kTensorName = 8;

struct Field {
  uint64_t number = 0;
  std::string_view bytes;  // of length-delimited fields; others are skipped
};

// One message in protobuf's wire format, field by field.
class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  bool next(Field& field) {
    while (!rest_.empty()) {
      const uint64_t key = varint();
      field.number = key >> 3;
      switch (key & 7) {
        case 0:
          varint();
          break;
        case 1:
          take(8);
          break;
        case 2:
          field.bytes = take(varint());
          return true;
        case 5:
          take(4);
          break;
        default:
          damaged();
      }
    }
    return false;
  }

 private:
  [[noreturn]] static void damaged() { throw Failure("E16001", "The model is not a valid ONNX file."); }

  std::string_view take(uint64_t count) {
    if (count > rest_.size()) damaged();
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    damaged();
  }

  std::string_view rest_;
};

std::string text_field(std::string_view bytes, uint64_t number) {
  Message message(bytes);
  Field field;
  while (message.next(field)) {
    if (field.number == number) return std::string(field.bytes);
  }
  return {};
}

OnnxNode read_node(std::string_view bytes, size_t index) {
  OnnxNode node;
  Message message(bytes);
  Field field;
  while (message.next(field)) {
    if (field.number == kNodeOutput) node.outputs.emplace_back(field.bytes);
    if (field.number == kNodeName) node.name = field.bytes;
    if (field.number == kNodeType) node.type = field.bytes;
  }
  if (node.name.empty()) node.name = node.type + "_" + std::to_string(index);
  return node;
}

OnnxOutline read_graph(std::string_view bytes) {
  OnnxOutline outline;
  std::set<std::string> initializers;
  Message message(bytes);
  Field field;
  while (message.next(field)) {
    switch (field.number) {
      case kGraphNode:
        outline.nodes.push_back(read_node(field.bytes, outline.nodes.size()));
        break;
      case kGraphInitializer:
        initializers.insert(text_field(field.bytes, kTensorName));
        break;
      case kGraphInput:
        outline.inputs.push_back(text_field(field.bytes, kValueName));
        break;
      case kGraphOutput:
        outline.outputs.push_back(text_field(field.bytes, kValueName));
        break;
      default:
        break;
    }
  }
  std::erase_if(outline.inputs, [&](const std::string& name) { return initializers.contains(name); });
  return outline;
}

}  // namespace

std::string OnnxOutline::producer(const std::string& tensor) const {
  for (const OnnxNode& node : nodes) {
    const auto output = std::find(node.outputs.begin(), node.outputs.end(), tensor);
    if (output != node.outputs.end()) return node.name + ":" + std::to_string(output - node.outputs.begin());
  }
  return tensor + ":0";
}

OnnxOutline read_onnx_outline(const std::filesystem::path& path) {
  const std::string bytes = read_text("model", path);
  Message message(bytes);
  Field field;
  while (message.next(field)) {
    if (field.number == kModelGraph) return read_graph(field.bytes);
  }
  throw Failure("E16001", "The model [" + path.string() + "] has no ONNX graph.");
}

}  // namespace emulator::atc
