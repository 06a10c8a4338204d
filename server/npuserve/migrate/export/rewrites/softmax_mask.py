"""Masks that stand before a Softmax, within what half precision can hold."""

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from npuserve.migrate.export.rewrites.graph import MAIN_DOMAINS, Array, Graph, attribute, label
from npuserve.migrate.export.rewrites.rewrite import Changes, Target

# A score this low has the weight 0 in every precision, and half precision holds several of them added up.
MASKED = 1e4
# Half precision ends at 65504; two masks that are added, or a score on top of one, stay below it.
_LARGEST = 3e4
REASON = (
    "a mask of -inf or -3.4e38 is -inf in half precision: times 0 it is NaN, and a row that is masked throughout (one "
    "that pads a batch) has a softmax of NaN. -10000 masks as well, and is finite"
)

# What hands values on, scaled or placed otherwise, to a Softmax.
_CARRIERS = frozenset(
    {
        "Add",
        "Sub",
        "Mul",
        "Where",
        "Expand",
        "Unsqueeze",
        "Squeeze",
        "Reshape",
        "Transpose",
        "Cast",
        "Identity",
        "Slice",
        "Concat",
        "Max",
        "Min",
        "Tile",
        "Trilu",
        "Gather",
        "Pad",
    }
)
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def apply(graph: Graph, target: Target) -> Changes:
    """Clamp the constants that reach nothing but a Softmax."""
    changes = Changes()
    reach = _Reach(graph)
    for node in graph.nodes:
        if node.domain not in MAIN_DOMAINS:
            continue
        if node.op_type == "ConstantOfShape":
            _clamp_filled(graph, node, reach, changes)
        elif node.op_type in _CARRIERS:
            for index, name in enumerate(node.input):
                value = graph.constant(name)
                if value is not None and _beyond(value) and _is_data(node, index):
                    _clamp(graph, node, index, value, reach, changes)
    return changes


def clamped(value: Array) -> Array:
    """Return a constant with what half precision cannot hold brought to ±MASKED."""
    held = np.where(np.abs(value) > _LARGEST, np.copysign(MASKED, value), value)
    return np.asarray(held, value.dtype)


def _beyond(value: Array) -> bool:
    return value.dtype.kind == "f" and not np.isnan(value).any() and bool((np.abs(value) > _LARGEST).any())


def _is_data(node: NodeProto, index: int) -> bool:
    if node.op_type == "Where":
        return index > 0
    if node.op_type in ("Add", "Sub", "Mul", "Concat", "Max", "Min"):
        return True
    return index == 0


def _clamp(graph: Graph, node: NodeProto, index: int, value: Array, reach: "_Reach", changes: Changes) -> None:
    verdict = reach.of(node.output[0])
    if verdict is None:
        return
    if verdict:
        changes.left.append(f"{label(node)}: its mask is read by {verdict}, too")
        return
    graph.feed(node, index, graph.add_constant(clamped(value), "mask"))
    changes.places.append(label(node))


def _clamp_filled(graph: Graph, node: NodeProto, reach: "_Reach", changes: Changes) -> None:
    tensor = attribute(node, "value")
    if tensor is None or not _beyond(value := numpy_helper.to_array(tensor)):
        return
    verdict = reach.of(node.output[0])
    if verdict is None:
        return
    if verdict:
        changes.left.append(f"{label(node)}: its mask is read by {verdict}, too")
        return
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(clamped(value))))
    changes.places.append(label(node))


class _Reach:
    """Where a tensor goes through carriers: to a Softmax, to others, or to none."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[str, tuple[bool, str]] = {}

    def of(self, tensor: str) -> str | None:
        """Return "" if a tensor reaches only Softmax, who else reads it if it reaches one, None if none."""
        softmax, other = self._walk(tensor)
        return other if softmax else None

    def _walk(self, tensor: str) -> tuple[bool, str]:
        if tensor in self._known:
            return self._known[tensor]
        softmax, other = False, "the caller" if self._graph.is_output(tensor) else ""
        for node in self._graph.readers(tensor):
            if node.op_type in ("Softmax", "LogSoftmax"):
                softmax = True
            elif node.op_type in _CARRIERS and not _to_integer(node):
                beyond, further = self._walk(node.output[0])
                softmax, other = softmax or beyond, other or further
            else:
                other = other or label(node)
        self._known[tensor] = softmax, other
        return softmax, other


def _to_integer(node: NodeProto) -> bool:
    if node.op_type != "Cast":
        return False
    return attribute(node, "to") not in _FLOATS
