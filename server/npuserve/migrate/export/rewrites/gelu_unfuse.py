"""Gelu, and ONNX Runtime's own forms of it, as operators that every opset has."""

import numpy as np

from npuserve.migrate.export.rewrites.gelu_fuse import SINCE
from npuserve.migrate.export.rewrites.gelu_shape import CUBIC, ROOT_HALF, ROOT_TWO_OVER_PI
from npuserve.migrate.export.rewrites.graph import MAIN_DOMAINS, Graph, attribute, label
from npuserve.migrate.export.rewrites.rewrite import Changes, Target

REASON = (
    "Gelu is an operator only from opset 20 on, and ONNX Runtime's own Gelu, FastGelu and BiasGelu are known to it "
    "alone: spelled out, every compiler takes it. The cube is two multiplications, as a power of a negative number is "
    "computed by logarithms on some chips"
)
VENDOR = "com.microsoft"


def apply(graph: Graph, target: Target) -> Changes:
    """Spell out each Gelu that the target's opset lacks."""
    changes = Changes()
    for node in graph.nodes:
        foreign = node.domain == VENDOR and node.op_type in ("Gelu", "FastGelu", "BiasGelu")
        own = node.domain in MAIN_DOMAINS and node.op_type == "Gelu"
        if not foreign and not (own and target.lacks("Gelu", SINCE)):
            continue
        output = node.output[0]
        x = node.input[0]
        dtype = graph.float_dtype(x)
        graph.give_up(node, output)
        if len(node.input) > 1 and node.input[1]:
            x = graph.add("Add", [x, node.input[1]], f"{output}_biased")
        if node.op_type == "FastGelu" or attribute(node, "approximate", b"none") == b"tanh":
            curve = _tanh(graph, x, output, dtype)
        else:
            scaled = graph.add("Mul", [x, _number(graph, ROOT_HALF, dtype)], f"{output}_scaled")
            curve = graph.add("Erf", [scaled], f"{output}_erf")
        shifted = graph.add("Add", [curve, _number(graph, 1.0, dtype)], f"{output}_shifted")
        halved = graph.add("Mul", [x, _number(graph, 0.5, dtype)], f"{output}_halved")
        graph.add("Mul", [halved, shifted], f"{output}_product", output)
        changes.places.append(label(node))
    return changes


def _tanh(graph: Graph, x: str, stem: str, dtype: np.typing.DTypeLike) -> str:
    square = graph.add("Mul", [x, x], f"{stem}_square")
    cube = graph.add("Mul", [square, x], f"{stem}_cube")
    small = graph.add("Mul", [cube, _number(graph, CUBIC, dtype)], f"{stem}_small")
    inner = graph.add("Add", [x, small], f"{stem}_inner")
    scaled = graph.add("Mul", [inner, _number(graph, ROOT_TWO_OVER_PI, dtype)], f"{stem}_scaled")
    return graph.add("Tanh", [scaled], f"{stem}_tanh")


def _number(graph: Graph, value: float, dtype: np.typing.DTypeLike) -> str:
    return graph.add_constant(np.array(value, dtype), "gelu_constant")
