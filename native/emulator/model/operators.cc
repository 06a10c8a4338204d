#include "emulator/model/operators.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace emulator {
namespace {

struct Row {
  std::string_view openvino;
  std::string_view ascend;
  MixList list;
  bool moves_values;
};

constexpr MixList kWhite = MixList::white;
constexpr MixList kBlack = MixList::black;
constexpr MixList kGrey = MixList::grey;

// Types that are missing here keep OpenVINO's name and are grey, as is an operator that no list of the device names.
constexpr std::array kRows{
    Row{"MatMul", "BatchMatMulV2", kWhite, false},
    Row{"Convolution", "Conv2D", kWhite, false},
    Row{"GroupConvolution", "Conv2D", kWhite, false},
    Row{"ConvolutionBackpropData", "Conv2DTranspose", kWhite, false},
    Row{"LSTMSequence", "DynamicRNN", kWhite, false},
    Row{"GRUSequence", "DynamicGRUV2", kWhite, false},
    Row{"Softmax", "SoftmaxV2", kBlack, false},
    Row{"LogSoftmax", "LogSoftmaxV2", kBlack, false},
    Row{"MVN", "LayerNorm", kBlack, false},
    Row{"ReduceMean", "ReduceMean", kBlack, false},
    Row{"ReduceSum", "ReduceSum", kBlack, false},
    Row{"ReduceProd", "ReduceProd", kBlack, false},
    Row{"ReduceL1", "LpNorm", kBlack, false},
    Row{"ReduceL2", "LpNorm", kBlack, false},
    Row{"CumSum", "Cumsum", kBlack, false},
    Row{"Exp", "Exp", kBlack, false},
    Row{"Log", "Log", kBlack, false},
    Row{"Power", "Pow", kBlack, false},
    Row{"Sqrt", "Sqrt", kBlack, false},
    Row{"Erf", "Erf", kBlack, false},
    Row{"Gelu", "Gelu", kBlack, false},
    Row{"SoftPlus", "Softplus", kBlack, false},
    Row{"ReduceMax", "ReduceMax", kGrey, true},
    Row{"ReduceMin", "ReduceMin", kGrey, true},
    Row{"Subtract", "Sub", kGrey, false},
    Row{"Multiply", "Mul", kGrey, false},
    Row{"Divide", "RealDiv", kGrey, false},
    Row{"Convert", "Cast", kGrey, false},
    Row{"Gather", "GatherV2", kGrey, true},
    Row{"GatherElements", "GatherElements", kGrey, true},
    Row{"GatherND", "GatherNd", kGrey, true},
    Row{"Concat", "ConcatV2", kGrey, true},
    Row{"Select", "SelectV2", kGrey, true},
    Row{"Slice", "StridedSliceV2", kGrey, true},
    Row{"StridedSlice", "StridedSlice", kGrey, true},
    Row{"Split", "SplitD", kGrey, true},
    Row{"VariadicSplit", "SplitV", kGrey, true},
    Row{"Broadcast", "BroadcastTo", kGrey, true},
    Row{"Tile", "Tile", kGrey, true},
    Row{"Pad", "PadV3", kGrey, true},
    Row{"MaxPool", "MaxPool", kGrey, true},
    Row{"Reshape", "Reshape", kGrey, true},
    Row{"Transpose", "TransposeD", kGrey, true},
    Row{"Squeeze", "Squeeze", kGrey, true},
    Row{"Unsqueeze", "Unsqueeze", kGrey, true},
    Row{"Relu", "Relu", kGrey, true},
    Row{"Abs", "Abs", kGrey, true},
    Row{"Negative", "Neg", kGrey, true},
    Row{"Maximum", "Maximum", kGrey, true},
    Row{"Minimum", "Minimum", kGrey, true},
    Row{"Clamp", "ClipByValue", kGrey, false},
    Row{"PRelu", "PRelu", kGrey, false},
    Row{"ShapeOf", "Shape", kGrey, false},
    Row{"FakeQuantize", "AscendQuant", kGrey, false},
};

struct Alias {
  std::string_view name;
  std::string_view canonical;
};

constexpr std::array kAliases{
    Alias{"batchmatmul", "matmul"},
    Alias{"gemm", "matmul"},
    Alias{"fullyconnection", "matmul"},
    Alias{"layernormalization", "layernorm"},
    Alias{"conv", "conv2d"},
    Alias{"div", "realdiv"},
    Alias{"sub", "subtract"},
    Alias{"mul", "multiply"},
    Alias{"power", "pow"},
    Alias{"where", "select"},
    Alias{"gathernd", "gathernd"},
    Alias{"concatd", "concat"},
};

// Lower case, without a trailing V2 or D, by its first name.
std::string canonical_type(std::string_view type) {
  std::string name(type);
  if (name.size() > 2 && name[name.size() - 2] == 'V' && std::isdigit(static_cast<unsigned char>(name.back())) != 0) {
    name.resize(name.size() - 2);
  } else if (name.size() > 2 && name.back() == 'D' &&
             std::islower(static_cast<unsigned char>(name[name.size() - 2])) != 0) {
    name.pop_back();
  }
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const auto* alias =
      std::find_if(kAliases.begin(), kAliases.end(), [&](const Alias& each) { return each.name == name; });
  return alias == kAliases.end() ? name : std::string(alias->canonical);
}

}  // namespace

OperatorKind operator_kind(const ov::Node& node) {
  const std::string_view type = node.get_type_name();
  const auto* row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& each) { return each.openvino == type; });
  if (row == kRows.end()) return {std::string(type), MixList::grey, false};
  OperatorKind kind{std::string(row->ascend), row->list, row->moves_values};
  if (type == "MatMul" && node.get_output_partial_shape(0).rank() == ov::Rank(2)) kind.ascend_type = "MatMulV2";
  return kind;
}

bool is_matrix_operator(const ov::Node& node) {
  const std::string_view type = node.get_type_name();
  return type == "MatMul" || type.find("Convolution") != std::string_view::npos;
}

bool same_operator_type(std::string_view left, std::string_view right) {
  return canonical_type(left) == canonical_type(right);
}

}  // namespace emulator
