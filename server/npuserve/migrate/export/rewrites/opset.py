"""The wanted version of ONNX's operators."""

import onnx

from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.rewrites.graph import Graph
from npuserve.migrate.export.rewrites.rewrite import Changes, Target

REASON = "the compiler takes graphs up to a version of ONNX's operators, and later rewrites need theirs"
# onnx's own converter goes down to 7; what exported transformers need (Where and Max of INT64) is there from 12 on.
OLDEST = 12

# Attributes that onnx's converter leaves behind when it goes below the version that brought them.
_NEUTRAL = {("ReduceMean", "noop_with_empty_axes"): 18, ("ReduceSum", "noop_with_empty_axes"): 13}
# No served tensor is empty, so that a 0 in a shape that is computed cannot occur.
_WITHOUT_EMPTY = {("Reshape", "allowzero"): 14}


def apply(graph: Graph, target: Target) -> Changes:
    """Convert a graph, up or down, in place. Raises MigrationError."""
    changes = Changes()
    model, before = graph.model, graph.opset
    if before == target.opset:
        return changes
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= target.opset <= newest:
        raise MigrationError(
            f"export.opset is {target.opset}: it must be {OLDEST} to {newest}", "set export.opset = 18, which atc takes"
        )
    graph.tidy()
    try:
        converted = onnx.version_converter.convert_version(model, target.opset)
        _drop_left_behind(converted, target.opset)
        onnx.checker.check_model(converted)
    except Exception as error:  # the converter raises RuntimeError, and what its C++ code happens to
        raise MigrationError(
            f"the graph cannot be converted from opset {before} to {target.opset}: {_sentence(error)}",
            f"set export.opset = {before} to leave it as it is",
            "export the model again from PyTorch with the wanted opset",
        ) from error
    model.CopyFrom(converted)
    changes.places.append(f"opset {before} to {target.opset}")
    return changes


def _drop_left_behind(model: onnx.ModelProto, opset: int) -> None:
    for node in model.graph.node:
        for index in reversed(range(len(node.attribute))):
            each = node.attribute[index]
            key = (node.op_type, each.name)
            neutral = opset < _NEUTRAL.get(key, 0) and each.i == 0
            if neutral or opset < _WITHOUT_EMPTY.get(key, 0):
                del node.attribute[index]


def _sentence(error: Exception) -> str:
    """Return what the converter says, without the place in its source that says it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rpartition("failed: ")[2] if lines else type(error).__name__
