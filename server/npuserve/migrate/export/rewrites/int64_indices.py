"""Indices of Gather and the like as INT32, with the graph's interface left as it is."""

import numpy as np
from onnx import NodeProto, TensorProto

from npuserve.migrate.export.rewrites.graph import Graph, label
from npuserve.migrate.export.rewrites.rewrite import Changes, Target

REASON = (
    "the chip has no 64-bit integer arithmetic: an index in INT64 is emulated or sends its operator to the host's CPU. "
    "No axis has 2^31 elements, so that INT32 holds every index that is valid"
)
_LARGEST = np.iinfo(np.int32).max

# Operators whose indices ONNX allows in INT32, and ONNX Runtime has them so, and where they stand.
_PLACES = {"Gather": 1, "GatherElements": 1, "ScatterElements": 1}


def apply(graph: Graph, target: Target) -> Changes:
    """Narrow each index once, however many operators read it."""
    changes = Changes()
    narrow: dict[str, str] = {}
    for node in graph.of_type(*_PLACES):
        index = _PLACES[node.op_type]
        name = node.input[index]
        if graph.element(name) != TensorProto.INT64 or _of_shape(graph, node):
            continue
        value = graph.constant(name)
        if value is not None and value.size and np.abs(value).max() > _LARGEST:
            changes.left.append(f"{label(node)}: an index is beyond INT32")
            continue
        if name not in narrow:
            narrow[name] = (
                graph.add("Cast", [name], f"{name}_int32", to=TensorProto.INT32)
                if value is None
                else graph.add_constant(value.astype(np.int32), f"{name}_int32")
            )
        graph.feed(node, index, narrow[name])
        changes.places.append(label(node))
    return changes


def _of_shape(graph: Graph, node: NodeProto) -> bool:
    """Whether a node picks from a shape: the compiler folds that away, as it is."""
    return node.op_type == "Gather" and graph.maker(node.input[0], "Shape") is not None
