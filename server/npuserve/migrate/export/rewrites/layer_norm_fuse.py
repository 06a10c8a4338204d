"""LayerNormalization out of means, squares and roots, whatever the variance and the affine part."""

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from npuserve.migrate.export.rewrites.factors import near
from npuserve.migrate.export.rewrites.graph import Array, Graph, label
from npuserve.migrate.export.rewrites.moments import deviation, last_axis, source, variance
from npuserve.migrate.export.rewrites.rewrite import Changes, Target

SINCE = 17
REASON = (
    "spelled out, the squares of a normalization overflow in half precision from deviations of 256 on and its variance "
    "loses its digits: the one operator keeps them in float32, and is one kernel on the chip. An unbiased variance "
    "goes into the scale and epsilon, a missing affine part becomes ones"
)


@dataclass(frozen=True, slots=True)
class _Root:
    """The denominator: the root of factor times the biased variance of x, plus epsilon."""

    x: str
    factor: float
    epsilon: float


def apply(graph: Graph, target: Target) -> Changes:
    """Put each normalization over the last axis that is spelled out into one operator."""
    changes = Changes()
    if target.lacks("LayerNormalization", SINCE) or graph.opset < SINCE:
        return changes
    for node in graph.of_type("Div", "Mul"):
        if (root := _normalization(graph, node, changes)) is not None:
            _fuse(graph, node, root, changes)
    return changes


def _normalization(graph: Graph, node: NodeProto, changes: Changes) -> _Root | None:
    """Return the denominator, if a node divides a deviation by its own root."""
    sides = [(node.input[0], node.input[1])]
    if node.op_type == "Mul":
        sides.append((node.input[1], node.input[0]))
    for deviated, other in sides:
        x = deviation(graph, deviated)
        if x is None:
            continue
        inverse = node.op_type == "Mul" and graph.maker(other, "Pow") is not None
        denominator = other if inverse or node.op_type == "Div" else _reciprocal(graph, other)
        if denominator is None:
            continue
        root = _root(graph, denominator, -0.5 if inverse else 0.5)
        if root is not None and root.x == x:
            return root
        if _epsilon_outside(graph, denominator, x):
            changes.left.append(f"{label(node)}: epsilon is added to the deviation, not to the variance")
    return None


def _reciprocal(graph: Graph, tensor: str) -> str | None:
    node = graph.maker(tensor, "Reciprocal", "Div")
    if node is None:
        return None
    if node.op_type == "Reciprocal":
        return str(node.input[0])
    return str(node.input[1]) if near(graph.scalar(node.input[0]), 1.0) else None


def _root(graph: Graph, tensor: str, exponent: float = 0.5) -> _Root | None:
    node = graph.maker(source(graph, tensor), "Sqrt", "Pow")
    if node is None or (node.op_type == "Sqrt" and exponent < 0):
        return None
    if node.op_type == "Pow" and not near(graph.scalar(node.input[1]), exponent):
        return None
    inner = source(graph, node.input[0])
    epsilon = 0.0
    if (total := graph.maker(inner, "Add")) is not None:
        for number, other in (total.input, reversed(total.input)):
            if (value := graph.scalar(number)) is not None:
                epsilon, inner = value, other
    found = variance(graph, inner)
    return None if found is None or found.factor <= 0 else _Root(found.x, found.factor, epsilon)


def _epsilon_outside(graph: Graph, tensor: str, x: str) -> bool:
    total = graph.maker(source(graph, tensor), "Add")
    if total is None:
        return False
    return any((root := _root(graph, each)) is not None and root.x == x for each in total.input)


def _fuse(graph: Graph, node: NodeProto, root: _Root, changes: Changes) -> None:
    last = node
    scale, last = _affine(graph, last, "Mul")
    bias, last = _affine(graph, last, "Add")
    width = last_axis(graph, root.x) or (scale.size if scale is not None and scale.size > 1 else None)
    if width is None or any(each is not None and each.size not in (1, width) for each in (scale, bias)):
        changes.left.append(f"{label(node)}: the size of the last axis is not known")
        return
    dtype = graph.float_dtype(root.x)
    # (x - m) / sqrt(f v + e) = (x - m) / sqrt(v + e / f) / sqrt(f)
    weights = np.broadcast_to(np.float64(1) if scale is None else scale.astype(np.float64).reshape(-1), (width,))
    inputs = [root.x, graph.add_constant((weights / np.sqrt(root.factor)).astype(dtype), "layer_norm_scale")]
    if bias is not None:
        inputs.append(graph.add_constant(np.broadcast_to(bias.reshape(-1), (width,)).astype(dtype), "layer_norm_bias"))
    output = last.output[0]
    graph.give_up(last, output)
    graph.add("LayerNormalization", inputs, "layer_norm", output, axis=-1, epsilon=float(root.epsilon / root.factor))
    changes.places.append(label(node))


def _affine(graph: Graph, last: NodeProto, kind: str) -> tuple[Array | None, NodeProto]:
    """Return a constant that the one reader scales or shifts by along the last axis, and the node that is last then."""
    reader = graph.only_reader(last.output[0], kind)
    if reader is None:
        return None, last
    (other,) = [each for each in reader.input if each != last.output[0]] or [last.output[0]]
    value = graph.constant(other)
    if value is None or value.ndim > (graph.rank(last.output[0]) or 1):
        return None, last
    along_last = value.size == 1 or value.shape[-1] == value.size
    return (value, reader) if along_last else (None, last)
