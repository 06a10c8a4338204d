"""Sums by index (`index_add_`, in place in PyTorch) as a product with a matrix of ones and zeros."""

import numpy as np
from onnx import NodeProto, TensorProto

from npuserve.migrate.export.rewrites.graph import Graph, attribute, label
from npuserve.migrate.export.rewrites.rewrite import Changes, Target

REASON = (
    "index_add_ becomes ScatterND with reduction=add, which opsets before 16 and compilers that know its older form "
    "read as a plain store: rows of the same index then overwrite each other. A one-hot matrix times the rows adds "
    "them, in the same order each time, and runs on the cube unit"
)
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def apply(graph: Graph, target: Target) -> Changes:
    """Rewrite each sum by an index into the first axis."""
    changes = Changes()
    for node in graph.of_type("ScatterND", "ScatterElements"):
        if attribute(node, "reduction", b"none") != b"add":
            continue
        if node.op_type == "ScatterElements":
            changes.left.append(f"{label(node)}: its indices are of elements, not of rows")
        elif graph.element(node.input[2]) not in FLOATS:
            changes.left.append(f"{label(node)}: it does not add floating-point numbers")
        elif (shape := graph.shape(node.input[1])) is None or len(shape) != 2 or shape[-1] != 1:
            changes.left.append(f"{label(node)}: its indices are not of one axis")
        else:
            _sum_by_product(graph, node)
            changes.places.append(label(node))
    return changes


def _sum_by_product(graph: Graph, node: NodeProto) -> None:
    """Add onehot(indices) `[n, k]` times updates `[k, ...]` to data `[n, ...]`."""
    data, indices, updates = node.input[:3]
    output = node.output[0]
    dtype = graph.float_dtype(updates)
    graph.give_up(node, output)
    flat = graph.add_constant(np.array([-1], np.int64), "flat")
    rows = graph.add("Reshape", [indices, flat], f"{output}_rows")
    shape = graph.add("Shape", [data], f"{output}_shape")
    first = graph.add_constant(np.array([0], np.int64), "first")
    depth = graph.add("Gather", [shape, first], f"{output}_depth", axis=0)
    # ONNX Runtime has OneHot in float32 alone.
    values = graph.add_constant(np.array([0, 1], np.float32), "zero_one")
    # [n, k] at once: the new axis of the one-hot vectors is the first.
    chosen = graph.add("OneHot", [rows, depth, values], f"{output}_one_hot", axis=0)
    if dtype == np.float16:
        chosen = graph.add("Cast", [chosen], f"{output}_chosen", to=TensorProto.FLOAT16)
    matrix = graph.add("Flatten", [updates], f"{output}_matrix", axis=1)
    total = graph.add("MatMul", [chosen, matrix], f"{output}_total")
    back = graph.add("Reshape", [total, shape], f"{output}_sums")
    graph.add("Add", [data, back], f"{output}_added", output)
