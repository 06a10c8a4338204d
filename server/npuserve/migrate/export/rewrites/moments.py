"""Mean and variance over the last axis, as exporters spell them."""

from dataclasses import dataclass

from onnx import NodeProto

from npuserve.migrate.export.rewrites.factors import near, product
from npuserve.migrate.export.rewrites.graph import Graph, attribute

# Exporters reduce without keeping the axis, and bring it back by these.
_RESHAPING = ("Reshape", "Expand", "Unsqueeze", "Squeeze", "Identity")


@dataclass(frozen=True, slots=True)
class Variance:
    """Of x over its last axis. factor: times the biased variance: N / (N - 1) for the unbiased one."""

    x: str
    factor: float = 1.0


def source(graph: Graph, tensor: str) -> str:
    """Return the tensor whose values a tensor has in another shape."""
    while (node := graph.maker(tensor, *_RESHAPING)) is not None:
        tensor = node.input[0]
    return tensor


def reduced(graph: Graph, tensor: str, kind: str) -> str | None:
    """Return what a tensor is the reduction of over its last axis alone."""
    node = graph.maker(source(graph, tensor), kind)
    if node is None or not _over_last_axis(graph, node):
        return None
    return str(node.input[0])


def deviation(graph: Graph, tensor: str) -> str | None:
    """Return the x that a tensor is the deviation of from its mean."""
    node = graph.maker(tensor, "Sub")
    if node is None or reduced(graph, node.input[1], "ReduceMean") != node.input[0]:
        return None
    return str(node.input[0])


def variance(graph: Graph, tensor: str) -> Variance | None:
    """Return what a tensor is the variance of: biased, unbiased, or as the mean of squares less the square of the mean.

    A constant factor of it, in whatever place, is the variance's.
    """
    tensor = source(graph, tensor)
    scaled = product(graph, tensor)
    if len(scaled.tensors) == 1 and scaled.tensors[0] != tensor:
        inner = variance(graph, scaled.tensors[0])
        return None if inner is None else Variance(inner.x, inner.factor * scaled.number)
    if (x := _of_deviations(graph, tensor) or _of_squares(graph, tensor)) is not None:
        return Variance(x)
    squares = reduced(graph, tensor, "ReduceSum")
    if squares is None or (x := _deviation_squared(graph, squares)) is None:
        return None
    width = last_axis(graph, x)
    return None if width is None else Variance(x, float(width))


def last_axis(graph: Graph, tensor: str) -> int | None:
    """Return the size of a tensor's last axis, if it is known."""
    shape = graph.shape(tensor)
    return shape[-1] if shape else None


def _of_deviations(graph: Graph, tensor: str) -> str | None:
    squares = reduced(graph, tensor, "ReduceMean")
    return None if squares is None else _deviation_squared(graph, squares)


def _of_squares(graph: Graph, tensor: str) -> str | None:
    node = graph.maker(tensor, "Sub")
    if node is None:
        return None
    squares = reduced(graph, node.input[0], "ReduceMean")
    mean = _squared(graph, node.input[1])
    if squares is None or mean is None:
        return None
    x = _squared(graph, squares)
    return x if x is not None and reduced(graph, mean, "ReduceMean") == x else None


def _deviation_squared(graph: Graph, tensor: str) -> str | None:
    deviated = _squared(graph, tensor)
    return None if deviated is None else deviation(graph, deviated)


def _squared(graph: Graph, tensor: str) -> str | None:
    node = graph.maker(tensor, "Mul", "Pow")
    if node is None:
        return None
    if node.op_type == "Mul":
        return str(node.input[0]) if node.input[0] == node.input[1] else None
    return str(node.input[0]) if near(graph.scalar(node.input[1]), 2.0) else None


def _over_last_axis(graph: Graph, node: NodeProto) -> bool:
    axes = attribute(node, "axes")
    if axes is None and len(node.input) > 1 and (value := graph.constant(node.input[1])) is not None:
        axes = value.reshape(-1).tolist()
    if axes is None or len(axes) != 1:
        return False
    rank = graph.rank(node.input[0])
    return axes[0] == -1 or (rank is not None and axes[0] == rank - 1)
