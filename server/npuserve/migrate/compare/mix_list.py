"""Files that tell the compiler what stays in float32: by operator type (a mix list) or by node."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# What Ascend calls ONNX's operators, where the names differ.
_ASCEND_TYPES = {
    "BatchNormalization": ("BNInference",),
    "Concat": ("ConcatV2",),
    "Conv": ("Conv2D",),
    "Div": ("RealDiv",),
    "Gather": ("GatherV2",),
    "LayerNormalization": ("LayerNorm",),
    "LogSoftmax": ("LogSoftmaxV2",),
    "MatMul": ("BatchMatMulV2", "MatMulV2"),
    "Gemm": ("MatMulV2",),
    "Slice": ("StridedSliceV2",),
    "Softmax": ("SoftmaxV2",),
    "Split": ("SplitV",),
    "Transpose": ("TransposeD",),
    "Where": ("SelectV2",),
}


def ascend_types(kind: str) -> tuple[str, ...]:
    """Return Ascend's names of what an ONNX operator becomes; most have the same."""
    return _ASCEND_TYPES.get(kind, (kind,))


def mix_list(kinds: Iterable[str]) -> dict[str, Any]:
    """Return a mix list that keeps these ONNX operators in float32, as --modify_mixlist reads it."""
    return {"black-list": {"to-add": sorted({each for kind in kinds for each in ascend_types(kind)})}}


def write_mix_list(path: Path, kinds: Iterable[str]) -> Path:
    """Write a mix list; return the path."""
    path.write_text(json.dumps(mix_list(kinds), indent=1) + "\n")
    return path


def write_kept(path: Path, names: Sequence[str]) -> Path:
    """Write the nodes of --keep_dtype; return the path."""
    path.write_text("".join(f"{name}\n" for name in names))
    return path
