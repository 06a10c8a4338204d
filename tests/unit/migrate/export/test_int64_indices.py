"""Indices in INT32, behind an interface that stays INT64."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from support.rewriting import FLOAT, INT64, assert_same_answers, graph_of, operators, rewritten

node = helper.make_node
TABLE = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
IDS = {"ids": np.array([[3, 19, -1], [0, 7, 7]])}
IDS_SHAPE = {"ids": (INT64, ["batch", "length"])}


def element_of(model: onnx.ModelProto, name: str) -> int:
    inferred = onnx.shape_inference.infer_shapes(model)
    known = {each.name: each.type.tensor_type.elem_type for each in (*inferred.graph.value_info, *model.graph.input)}
    return known[name] or next(each.data_type for each in model.graph.initializer if each.name == name)


def test_an_input_is_narrowed_once_and_stays_int64_outside() -> None:
    nodes = [
        node("Gather", ["table", "ids"], ["a"]),
        node("Gather", ["other", "ids"], ["b"]),
        node("Add", ["a", "b"], ["y"]),
    ]
    weights = {"table": TABLE, "other": TABLE[::-1].copy()}
    model = graph_of(nodes, IDS_SHAPE, {"y": (FLOAT, ["batch", "length", 4])}, weights)
    changed, applied = rewritten(model)
    assert operators(changed) == ["Cast", "Gather", "Gather", "Add"]
    assert changed.graph.input[0].type.tensor_type.elem_type == INT64
    assert {element_of(changed, each.input[1]) for each in changed.graph.node if each.op_type == "Gather"} == {
        TensorProto.INT32
    }
    assert "64-bit" in applied["int64_indices"].reason
    assert len(applied["int64_indices"].places) == 2
    assert_same_answers(model, changed, IDS)


def test_a_constant_index_is_narrowed_for_those_who_may_read_it_so() -> None:
    """Slice and Add still need it as it was."""
    nodes = [
        node("Gather", ["table", "first"], ["row"]),
        node("Slice", ["table", "first", "second"], ["cut"]),
        node("Add", ["ids", "first"], ["moved"]),
        node("Cast", ["moved"], ["f"], to=FLOAT),
        node("Add", ["row", "cut"], ["sum"]),
        node("ReduceSum", ["f"], ["total"], keepdims=0),
        node("Add", ["sum", "total"], ["y"]),
    ]
    weights = {"table": TABLE, "first": np.array([0]), "second": np.array([1])}
    model = graph_of(nodes, IDS_SHAPE, {"y": (FLOAT, [1, 4])}, weights)
    changed, _ = rewritten(model)
    kinds = {each.name: each.data_type for each in changed.graph.initializer}
    gather = next(each for each in changed.graph.node if each.op_type == "Gather")
    assert kinds[gather.input[1]] == TensorProto.INT32
    assert kinds["first"] == TensorProto.INT64
    assert_same_answers(model, changed, IDS)


def test_gather_and_scatter_of_elements_are_narrowed() -> None:
    nodes = [
        node("GatherElements", ["square", "ids"], ["g"], axis=1),
        node("ScatterElements", ["square", "ids", "g"], ["y"], axis=1),
    ]
    square = np.random.default_rng(1).standard_normal((2, 3)).astype(np.float32)
    model = graph_of(nodes, {"ids": (INT64, [2, 3])}, {"y": (FLOAT, [2, 3])}, {"square": square})
    changed, applied = rewritten(model)
    assert len(applied["int64_indices"].places) == 2
    assert_same_answers(model, changed, {"ids": np.array([[2, 0, 1], [1, 2, 0]])})


def test_an_index_beyond_int32_is_left_and_told() -> None:
    nodes = [node("Gather", ["table", "far"], ["unused"]), node("Gather", ["table", "ids"], ["y"])]
    model = graph_of(
        nodes,
        IDS_SHAPE,
        {"y": (FLOAT, ["batch", "length", 4]), "unused": (FLOAT, [1, 4])},
        {"table": TABLE, "far": np.array([2**31])},
    )
    changed, applied = rewritten(model)
    assert applied["int64_indices"].left == ("Gather of unused: an index is beyond INT32",)
    assert next(each for each in changed.graph.initializer if each.name == "far").data_type == INT64


def test_parts_of_shapes_and_narrow_indices_are_left() -> None:
    nodes = [
        node("Shape", ["ids"], ["shape"]),
        node("Gather", ["shape", "first"], ["batch"]),
        node("Cast", ["batch"], ["f"], to=FLOAT),
        node("Gather", ["table", "narrow"], ["row"]),
        node("Add", ["row", "f"], ["y"]),
    ]
    weights = {"table": TABLE, "first": np.array([0]), "narrow": np.array([4], np.int32)}
    model = graph_of(nodes, IDS_SHAPE, {"y": (FLOAT, [1, 4])}, weights)
    assert rewritten(model)[1] == {}


def test_an_index_inside_a_constant_node_is_seen() -> None:
    constant = node("Constant", [], ["first"], value=numpy_helper.from_array(np.array([2])))
    model = graph_of(
        [constant, node("Gather", ["ids", "first"], ["y"], axis=1)], IDS_SHAPE, {"y": (INT64, ["batch", 1])}
    )
    changed, _ = rewritten(model)
    assert operators(changed) == ["Gather"]
    assert_same_answers(model, changed, IDS)
