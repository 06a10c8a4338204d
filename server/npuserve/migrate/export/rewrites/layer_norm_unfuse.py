"""LayerNormalization as operators that every opset has."""

import numpy as np
from onnx import NodeProto

from npuserve.migrate.export.rewrites.graph import Graph, attribute, label
from npuserve.migrate.export.rewrites.layer_norm_fuse import SINCE
from npuserve.migrate.export.rewrites.rewrite import Changes, Target

REASON = (
    "LayerNormalization is an operator only from opset 17 on, and compilers before it refuse the graph: spelled out, "
    "every one takes it"
)


def apply(graph: Graph, target: Target) -> Changes:
    """Spell out each LayerNormalization, if the target's opset lacks it."""
    changes = Changes()
    if not target.lacks("LayerNormalization", SINCE):
        return changes
    for node in graph.of_type("LayerNormalization"):
        axes = _axes(graph, node)
        if any(graph.readers(each) or graph.is_output(each) for each in node.output[1:] if each):
            changes.left.append(f"{label(node)}: its mean or deviation is read, too")
        elif axes is None:
            changes.left.append(f"{label(node)}: the rank of its input is not known")
        else:
            _spell_out(graph, node, axes)
            changes.places.append(label(node))
    return changes


def _axes(graph: Graph, node: NodeProto) -> list[int] | None:
    axis = int(attribute(node, "axis", -1))
    if axis < 0:
        return list(range(axis, 0))
    rank = graph.rank(node.input[0])
    return None if rank is None else list(range(axis - rank, 0))


def _spell_out(graph: Graph, node: NodeProto, axes: list[int]) -> None:
    x, output = node.input[0], node.output[0]
    dtype = graph.float_dtype(x)
    graph.give_up(node, output)
    epsilon = graph.add_constant(np.array(attribute(node, "epsilon", 1e-5), dtype), "layer_norm_epsilon")
    centred = graph.add("Sub", [x, _mean(graph, x, axes, f"{output}_mean")], f"{output}_deviation")
    square = graph.add("Mul", [centred, centred], f"{output}_square")
    shifted = graph.add("Add", [_mean(graph, square, axes, f"{output}_variance"), epsilon], f"{output}_shifted")
    root = graph.add("Sqrt", [shifted], f"{output}_root")
    affine = [("Mul", node.input[1]), *(("Add", each) for each in node.input[2:] if each)]
    result = graph.add("Div", [centred, root], f"{output}_normal")
    for index, (kind, weights) in enumerate(affine, start=1):
        result = graph.add(kind, [result, weights], f"{output}_affine", output if index == len(affine) else None)


def _mean(graph: Graph, tensor: str, axes: list[int], stem: str) -> str:
    # From opset 18 on, the axes are an input.
    if graph.opset < 18:
        return graph.add("ReduceMean", [tensor], stem, axes=axes, keepdims=1)
    return graph.add("ReduceMean", [tensor, graph.add_constant(np.array(axes, np.int64), "axes")], stem, keepdims=1)
