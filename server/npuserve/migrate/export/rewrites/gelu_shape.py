"""Gelu as other operators spell it, exact and tanh, in any order of the factors."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onnx import NodeProto

from npuserve.migrate.export.rewrites.factors import near, other_than, product
from npuserve.migrate.export.rewrites.graph import Graph

CUBIC = 0.044715
ROOT_HALF = math.sqrt(0.5)
ROOT_TWO_OVER_PI = math.sqrt(2 / math.pi)

# From the sum to the last product: x, 0.5 and the sum in any order.
_STEPS = 3


@dataclass(frozen=True, slots=True)
class Spelled:
    """last: the multiplication whose output is the Gelu of x. approximate: `none` or `tanh`, as the operator has it."""

    x: str
    last: NodeProto
    approximate: str


def spelled(graph: Graph) -> Iterator[Spelled]:
    """Yield the Gelus that are spelled out."""
    for curve in graph.of_type("Erf", "Tanh"):
        x = _exact_argument(graph, curve) if curve.op_type == "Erf" else _tanh_argument(graph, curve)
        total = graph.only_reader(curve.output[0], "Add") if x is not None else None
        if x is None or total is None or other_than(graph, total.input, 1.0) != curve.output[0]:
            continue
        last = _last_product(graph, x, total.output[0])
        if last is not None:
            yield Spelled(x, last, "none" if curve.op_type == "Erf" else "tanh")


def _exact_argument(graph: Graph, curve: NodeProto) -> str | None:
    """Return x of erf(x / sqrt(2)): the deepest tensor at which the number is that."""
    return _scaled(graph, curve.input[0], ROOT_HALF)


def _scaled(graph: Graph, tensor: str, number: float) -> str | None:
    """Return what a tensor is `number` times of."""
    node = graph.maker(tensor, "Mul", "Div")
    if node is None:
        return None
    for index, each in enumerate(node.input):
        factor = graph.scalar(each)
        if factor is None or (node.op_type == "Div" and index == 0):
            continue
        if near(factor if node.op_type == "Mul" else 1 / factor if factor else None, number):
            return str(node.input[1 - index])
    return None


def _tanh_argument(graph: Graph, curve: NodeProto) -> str | None:
    """Return x of tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)), the polynomial as such or as x times another."""
    inner = _scaled(graph, curve.input[0], ROOT_TWO_OVER_PI)
    if inner is not None and (total := graph.maker(inner, "Add")) is not None:
        for x, cubic in (total.input, reversed(total.input)):
            found = product(graph, cubic, (x,))
            if near(found.number, CUBIC) and found.tensors == [x] * 3:
                return str(x)
    outer = product(graph, curve.input[0])
    for total in (node for each in outer.tensors if (node := graph.maker(each, "Add")) is not None):
        square = other_than(graph, total.input, 1.0)
        if square is None or len(outer.tensors) != 2 or not near(outer.number, ROOT_TWO_OVER_PI):
            continue
        (x,) = (each for each in outer.tensors if each != total.output[0])
        found = product(graph, square, (x,))
        if near(found.number, CUBIC) and found.tensors == [x] * 2:
            return x
    return None


def _last_product(graph: Graph, x: str, total: str) -> NodeProto | None:
    tensor = total
    for _ in range(_STEPS):
        node = graph.only_reader(tensor, "Mul", "Div")
        if node is None:
            return None
        tensor = node.output[0]
        found = product(graph, tensor, (x, total))
        if near(found.number, 0.5) and sorted(found.tensors) == sorted((x, total)):
            return node
    return None
