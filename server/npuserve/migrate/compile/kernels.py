"""Which of Ascend's operators an ONNX operator becomes."""

from collections.abc import Mapping

# Those without a kernel: the graph's own structure, or gone when the compiler has folded constants and shapes.
WITHOUT_KERNEL = frozenset(
    {"Constant", "ConstantOfShape", "Dropout", "Flatten", "Identity", "If", "Loop", "Reshape", "Shape", "Size"}
    | {"Squeeze", "Unsqueeze"}
)

# Any of these types is enough: releases differ in the version that they choose. Operators that are not listed have the
# same name in both, or are not known here.
ASCEND_TYPES: Mapping[str, tuple[str, ...]] = {
    "And": ("LogicalAnd",),
    "ArgMax": ("ArgMaxV2", "ArgMaxWithValue"),
    "ArgMin": ("ArgMinV2", "ArgMin", "ArgMinWithValue"),
    "Clip": ("ClipByValue", "ClipByValueV2"),
    "Concat": ("ConcatD", "ConcatV2D", "ConcatV2", "Concat"),
    "Conv": ("Conv2D", "Conv3D", "Conv2DV2"),
    "CumSum": ("CumsumD", "Cumsum"),
    "Div": ("RealDiv", "Div"),
    "Expand": ("Expand", "ExpandD", "BroadcastTo", "BroadcastToD"),
    "Gather": ("GatherV2", "GatherV2D", "Gather"),
    "GatherND": ("GatherNd",),
    "Gemm": ("MatMulV2", "MatMul", "MatMulV3", "BatchMatMulV2"),
    "GreaterOrEqual": ("GreaterEqual",),
    "LayerNormalization": ("LayerNorm", "LayerNormV3", "LayerNormV4"),
    "LessOrEqual": ("LessEqual",),
    "LogSoftmax": ("LogSoftmaxV2",),
    "MatMul": ("BatchMatMulV2", "MatMulV2", "BatchMatMul", "MatMul", "BatchMatMulV3", "MatMulV3"),
    "Max": ("Maximum",),
    "Min": ("Minimum",),
    "Mod": ("FloorMod", "Mod"),
    "Not": ("LogicalNot",),
    "OneHot": ("OneHotD", "OneHot"),
    "Or": ("LogicalOr",),
    "PRelu": ("PRelu",),
    "Pad": ("PadD", "Pad", "PadV3", "PadV3D", "MirrorPad"),
    "ReduceMax": ("ReduceMaxD", "ReduceMax"),
    "ReduceMean": ("ReduceMeanD", "ReduceMean"),
    "ReduceMin": ("ReduceMinD", "ReduceMin"),
    "ReduceProd": ("ReduceProdD", "ReduceProd"),
    "ReduceSum": ("ReduceSumD", "ReduceSum"),
    "Slice": ("StridedSliceV2", "StridedSliceV3", "StridedSliceD", "StridedSlice", "SliceD", "Slice"),
    "Softmax": ("SoftmaxV2",),
    "Split": ("SplitD", "SplitVD", "SplitV", "Split"),
    "Sum": ("AddN", "Add"),
    "Tile": ("TileD", "Tile"),
    "TopK": ("TopKD", "TopKV2", "TopKV2D", "TopK"),
    "Transpose": ("TransposeD", "Transpose"),
    "Where": ("SelectV2", "Select"),
    **{
        name: (name,)
        for name in ("Abs", "Add", "Cast", "Ceil", "Cos", "Equal", "Erf", "Exp", "Floor", "GatherElements", "Greater")
    },
    **{
        name: (name,)
        for name in ("Less", "Log", "Mul", "Neg", "Pow", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin")
    },
    **{name: (name,) for name in ("Softplus", "Sqrt", "Sub", "Tan", "Tanh")},
}
