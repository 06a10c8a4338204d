"""Graphs that are rewritten, and ONNX Runtime's answers before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from npuserve.migrate.export.rewrites.applied import Applied
from npuserve.migrate.export.rewrites.registry import rewrite
from npuserve.migrate.export.rewrites.rewrite import Target
from npuserve.migrate.export.running import run_onnx
from onnx import helper, numpy_helper
from support.models import graph_input

Array = npt.NDArray[Any]
Kind = tuple[int, Sequence[int | str]]
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def graph_of(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, Kind],
    outputs: Mapping[str, Kind],
    weights: Mapping[str, Any] | None = None,
    opset: int = 18,
    domains: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """A model; weights are numbers or arrays, float32 unless they are arrays."""
    held = [
        numpy_helper.from_array(value if isinstance(value, np.ndarray) else np.array(value, np.float32), name)
        for name, value in (weights or {}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [graph_input(name, *kind) for name, kind in inputs.items()],
        [graph_input(name, *kind) for name, kind in outputs.items()],
        held,
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def rewritten(
    model: onnx.ModelProto, opset: int | None = None, decompose: tuple[str, ...] = ()
) -> tuple[onnx.ModelProto, dict[str, Applied]]:
    """A copy after all rewrites, in its own opset unless another is wanted, and what they did by name."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    own = next(each.version for each in model.opset_import if not each.domain)
    applied = rewrite(copy, Target(opset or own, frozenset(decompose)))
    onnx.checker.check_model(copy, full_check=True)
    return copy, {each.rewrite: each for each in applied}


def first_answer(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> Array:
    (answers,) = run_onnx(model, [feeds], optimized=False)
    return np.asarray(next(iter(answers.values())))


def assert_same_answers(one: onnx.ModelProto, other: onnx.ModelProto, feeds: Mapping[str, Array]) -> None:
    np.testing.assert_allclose(first_answer(one, feeds), first_answer(other, feeds), rtol=1e-5, atol=1e-6)
