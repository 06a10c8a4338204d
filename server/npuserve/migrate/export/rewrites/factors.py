"""Products as sets of factors, however the multiplications are nested."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from npuserve.migrate.export.rewrites.graph import Graph

# Deep enough for every order of the four factors of a Gelu.
_DEPTH = 4


@dataclass(slots=True)
class Product:
    """number: of all constant scalars. tensors: the other factors, once for each time they occur."""

    number: float = 1.0
    tensors: list[str] = field(default_factory=list)


def product(graph: Graph, tensor: str, stop: Collection[str] = ()) -> Product:
    """Return what a tensor is the product of; factors named in `stop` are not looked into."""
    found = Product()
    _gather(graph, tensor, stop, found, _DEPTH)
    return found


def _gather(graph: Graph, tensor: str, stop: Collection[str], found: Product, depth: int) -> None:
    number = graph.scalar(tensor)
    if number is not None:
        found.number *= number
        return
    node = graph.maker(tensor, "Mul", "Div", "Pow") if depth and tensor not in stop else None
    if node is None:
        found.tensors.append(tensor)
    elif node.op_type == "Mul":
        for each in node.input:
            _gather(graph, each, stop, found, depth - 1)
    elif node.op_type == "Div" and (divisor := graph.scalar(node.input[1])):
        found.number /= divisor
        _gather(graph, node.input[0], stop, found, depth - 1)
    elif node.op_type == "Pow" and (power := graph.scalar(node.input[1])) in (2.0, 3.0):
        for _ in range(int(power)):
            _gather(graph, node.input[0], stop, found, depth - 1)
    else:
        found.tensors.append(tensor)


def near(value: float | None, wanted: float) -> bool:
    """Whether a constant is a number, as nearly as half precision can hold it."""
    return value is not None and bool(np.isclose(value, wanted, rtol=1e-3, atol=0))


def other_than(graph: Graph, inputs: Collection[str], number: float) -> str | None:
    """Return the one of two addends that is not the given number."""
    rest = [each for each in inputs if not near(graph.scalar(each), number)]
    return rest[0] if len(rest) == 1 and len(inputs) == 2 else None
