"""Which nodes of a graph can be quantized, and graphs with some of them in float again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npuserve.migrate.errors import MigrationError
from npuserve.migrate.quantize.packages import imported

if TYPE_CHECKING:
    import onnx

TYPES = ("MatMul", "Gemm")
"""Quantized if their second input is a constant: the layers that AMCT quantizes in a transformer, too."""

_PAIR = ("QuantizeLinear", "DequantizeLinear")
# QuantizeLinear has scales by channel from here on.
_LEAST_OPSET = 13


@dataclass(frozen=True, slots=True)
class Layer:
    """A node that can be quantized."""

    name: str
    kind: str


def read_graph(path: Path) -> onnx.ModelProto:
    """Read a graph with a name for every node, and constants as initializers. Raises MigrationError."""
    package: Any = imported("onnx")
    model: onnx.ModelProto = package.load(str(path))
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
    if opset < _LEAST_OPSET:
        raise MigrationError(
            f"the graph is of opset {opset}, and int8 needs {_LEAST_OPSET} or more, as weights have a scale a channel",
            "export with opset = 18 under [export]",
        )
    _fold_constants(model)
    taken = {node.name for node in model.graph.node}
    for number, node in enumerate(model.graph.node):
        if not node.name:
            node.name = f"{node.op_type}_{number}"
            while node.name in taken:
                node.name += "_"
            taken.add(node.name)
    return model


def layers_of(model: onnx.ModelProto, keep_nodes: Sequence[str] = (), keep_types: Sequence[str] = ()) -> list[Layer]:
    """Return what is to be quantized, in the graph's order. keep_nodes, keep_types: what is not.

    Raises MigrationError if that is nothing, or for names of what could not be quantized anyway.
    """
    weights = {each.name for each in model.graph.initializer}
    found = [
        Layer(node.name, node.op_type)
        for node in model.graph.node
        if node.op_type in TYPES and len(node.input) > 1 and node.input[1] in weights
    ]
    if not found:
        raise MigrationError(
            "the graph has no MatMul or Gemm with constant weights, so there is nothing to compute in int8",
            "compile with another precision, as 'force_fp16'",
        )
    _check_kept("quantize.keep_nodes", keep_nodes, [each.name for each in found])
    _check_kept("quantize.keep_types", keep_types, TYPES)
    left = [each for each in found if each.name not in keep_nodes and each.kind not in keep_types]
    if not left:
        raise MigrationError(
            f"quantize.keep_nodes and quantize.keep_types leave none of the graph's {len(found)} layers to quantize",
            "name fewer of them, or compile with another precision",
        )
    return left


def with_int8(quantized: onnx.ModelProto, original: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    """Return the quantized graph with all nodes but those of these names as they were before.

    So other readers of a layer's input, as the sum around a layer, read what it was before it was rounded.
    """
    package: Any = imported("onnx")
    model: onnx.ModelProto = package.ModelProto()
    model.CopyFrom(quantized)
    before = {node.name: node for node in original.graph.node if node.name not in names}
    for node in model.graph.node:
        if node.name in before:
            node.CopyFrom(before[node.name])
    _give_back_weights(model, original, {name for node in before.values() for name in node.input}, set(before))
    _drop_unused(model)
    return model


def _fold_constants(model: onnx.ModelProto) -> None:
    import onnx

    constants = [node for node in model.graph.node if node.op_type == "Constant" and not node.domain]
    for node in constants:
        value = next((each.t for each in node.attribute if each.name == "value"), None)
        if value is None:
            continue
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value)
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
        model.graph.node.remove(node)


def _check_kept(setting: str, names: Sequence[str], known: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise MigrationError(f"{setting} names {unknown[0]}, which is not quantized anyway; what is: {shown}")


def _give_back_weights(model: onnx.ModelProto, original: onnx.ModelProto, names: set[str], restored: set[str]) -> None:
    """Add the original weights of these names, unless quantized nodes still read one that has the same name."""
    readers: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.name)
    made = {name: node for node in model.graph.node for name in node.output if node.op_type == "DequantizeLinear"}
    present = {each.name for each in model.graph.initializer}
    for weight in original.graph.initializer:
        if weight.name not in names or weight.name in present:
            continue
        if (pair := made.get(weight.name)) is not None:
            # The quantizer lets a bias keep its name.
            if not set(readers[weight.name]) <= restored:
                continue
            model.graph.node.remove(pair)
        model.graph.initializer.append(weight)


def _drop_unused(model: onnx.ModelProto) -> None:
    """Drop quantization that nobody reads, and weights that nobody reads."""
    graph = model.graph
    outputs = {each.name for each in graph.output}
    while True:
        read = {name for node in graph.node for name in node.input} | outputs
        unread = [node for node in graph.node if node.op_type in _PAIR and not read & set(node.output)]
        if not unread:
            break
        for node in unread:
            graph.node.remove(node)
    for weight in [each for each in graph.initializer if each.name not in read]:
        graph.initializer.remove(weight)
