"""Changes to a graph: order, names, what is kept and what goes."""

import numpy as np
import onnx
import pytest
from npuserve.migrate.export.rewrites.graph import Graph, attribute, label, opset_of
from onnx import TensorProto, helper
from support.rewriting import FLOAT, Kind, assert_same_answers, first_answer, graph_of, operators, rewritten

node = helper.make_node
SHAPE: Kind = (FLOAT, ["batch", 4])
X = {"x": np.arange(8, dtype=np.float32).reshape(2, 4) - 3}


def chain() -> onnx.ModelProto:
    nodes = [node("Relu", ["x"], ["a"], name="first"), node("Neg", ["a"], ["b"]), node("Add", ["b", "w"], ["y"])]
    return graph_of(nodes, {"x": SHAPE}, {"y": SHAPE}, {"w": 2, "unused": 3})


def test_what_makes_and_reads_tensors_is_found() -> None:
    graph = Graph(chain())
    maker = graph.maker("b", "Neg")
    assert maker is not None
    assert graph.maker("b", "Relu") is None
    assert graph.maker("x") is None
    assert graph.readers("a") == (maker,)
    assert graph.only_reader("b", "Add") is graph.maker("y")
    assert graph.only_reader("y", "Add") is None
    assert graph.scalar("w") == 2
    assert graph.constant("x") is None
    assert graph.shape("b") == (None, 4)
    assert (graph.rank("b"), graph.element("b")) == (2, TensorProto.FLOAT)
    assert [label(each) for each in graph.nodes] == ["first", "Neg of b", "Add of y"]
    assert attribute(maker, "none", 7) == 7


def test_nodes_stand_behind_what_they_read_and_dead_ones_go() -> None:
    model = chain()
    graph = Graph(model)
    graph.add("Neg", ["x"], "dead")
    neg = graph.maker("b")
    assert neg is not None
    graph.feed(neg, 0, graph.add("Abs", ["x"], "a"))
    graph.tidy()
    assert operators(model) == ["Abs", "Neg", "Add"]
    assert [each.name for each in model.graph.initializer] == ["w"]
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(first_answer(model, X), 2 - np.abs(X["x"]))


def test_an_output_is_taken_over_under_its_name() -> None:
    model = chain()
    graph = Graph(model)
    add = graph.maker("y")
    assert add is not None
    graph.give_up(add, "y")
    graph.add("Mul", [add.output[0], graph.add_constant(np.float32(10), "w")], "scaled", "y")
    graph.tidy()
    np.testing.assert_array_equal(first_answer(model, X), 10 * (2 - np.maximum(X["x"], 0)))


def test_what_a_branch_reads_from_outside_is_kept() -> None:
    then, otherwise = (
        helper.make_graph([node(kind, ["hidden"], [kind])], kind, [], [helper.make_empty_tensor_value_info(kind)])
        for kind in ("Neg", "Abs")
    )
    nodes = [node("Relu", ["x"], ["hidden"]), node("If", ["yes"], ["y"], then_branch=then, else_branch=otherwise)]
    model = graph_of(nodes, {"x": SHAPE}, {"y": SHAPE}, {"yes": np.array(True)})
    graph = Graph(model)
    assert [each.op_type for each in graph.readers("hidden")] == ["If"]
    graph.tidy()
    assert operators(model) == ["Relu", "If"]
    np.testing.assert_array_equal(first_answer(model, X), -np.maximum(X["x"], 0))


def test_weights_that_are_inputs_too_go_with_the_weights() -> None:
    """As files before version 4 of the format have them."""
    model = chain()
    model.ir_version = 3
    for name in ("w", "unused"):
        model.graph.input.append(helper.make_tensor_value_info(name, FLOAT, []))
    Graph(model).tidy()
    assert [each.name for each in model.graph.input] == ["x", "w"]


def test_the_version_of_a_model_is_that_of_onnxs_own_operators() -> None:
    model = chain()
    model.opset_import.insert(0, helper.make_opsetid("com.microsoft", 1))
    assert opset_of(model) == 18


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_keep_theirs(dtype: type[np.floating]) -> None:
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    kind: Kind = (element, ["batch", 4])
    scale = np.array([1, 2, 3, 4], dtype)
    model = graph_of([node("LayerNormalization", ["x", "scale"], ["y"])], {"x": kind}, {"y": kind}, {"scale": scale})
    apart, _ = rewritten(model, decompose=("LayerNormalization",))
    together, _ = rewritten(apart)
    assert operators(together) == ["LayerNormalization"]
    feeds = {"x": X["x"].astype(dtype)}
    if dtype == np.float64:
        assert_same_answers(apart, together, feeds)
    else:
        np.testing.assert_allclose(first_answer(apart, feeds), first_answer(model, feeds), rtol=1e-2, atol=1e-2)
