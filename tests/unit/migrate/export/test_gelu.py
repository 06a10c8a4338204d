"""Gelu fused and spelled out, exact and by tanh."""

import math
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper
from support.rewriting import FLOAT, Array, Kind, assert_same_answers, first_answer, graph_of, operators, rewritten

node = helper.make_node
X = {"x": np.linspace(-6, 6, 64, dtype=np.float32).reshape(4, 16)}
SHAPE: Kind = (FLOAT, ["batch", 16])
WEIGHTS = {
    "one": 1,
    "half": 0.5,
    "two": 2,
    "three": 3,
    "root": math.sqrt(2),
    "inverse": math.sqrt(0.5),
    "cubic": 0.044715,
    "factor": math.sqrt(2 / math.pi),
    "square_factor": 0.044715 * math.sqrt(2 / math.pi),
}


def expected_exact(x: Array) -> Array:
    return np.asarray(x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))), np.float32)


def expected_tanh(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), np.float32)


def spelled_out(nodes: list[onnx.NodeProto], opset: int = 20) -> onnx.ModelProto:
    return graph_of(nodes, {"x": SHAPE}, {"y": SHAPE}, WEIGHTS, opset)


ERF = [node("Div", ["x", "root"], ["s"]), node("Erf", ["s"], ["e"]), node("Add", ["e", "one"], ["a"])]
ERF_BY_PRODUCT = [node("Mul", ["inverse", "x"], ["s"]), node("Erf", ["s"], ["e"]), node("Add", ["one", "e"], ["a"])]
POLYNOMIAL = [
    node("Pow", ["x", "three"], ["p"]),
    node("Mul", ["p", "cubic"], ["c"]),
    node("Add", ["x", "c"], ["i"]),
    node("Mul", ["i", "factor"], ["s"]),
]
POLYNOMIAL_BY_PRODUCTS = [
    node("Mul", ["x", "x"], ["q"]),
    node("Mul", ["x", "q"], ["p"]),
    node("Mul", ["cubic", "p"], ["c"]),
    node("Add", ["c", "x"], ["i"]),
    node("Mul", ["factor", "i"], ["s"]),
]
POLYNOMIAL_AS_A_FACTOR = [
    node("Mul", ["x", "x"], ["q"]),
    node("Mul", ["q", "cubic"], ["c"]),
    node("Add", ["c", "one"], ["i"]),
    node("Mul", ["x", "factor"], ["f"]),
    node("Mul", ["f", "i"], ["s"]),
]
TANH = [node("Tanh", ["s"], ["t"]), node("Add", ["t", "one"], ["a"])]
HALF_LAST = [node("Mul", ["x", "a"], ["m"]), node("Mul", ["m", "half"], ["y"])]
HALF_FIRST = [node("Mul", ["half", "a"], ["m"]), node("Mul", ["x", "m"], ["y"])]
HALF_ON_X = [node("Mul", ["x", "half"], ["m"]), node("Mul", ["m", "a"], ["y"])]
BY_TWO = [node("Mul", ["x", "a"], ["m"]), node("Div", ["m", "two"], ["y"])]


@pytest.mark.parametrize("end", [HALF_LAST, HALF_FIRST, HALF_ON_X, BY_TWO])
@pytest.mark.parametrize("start", [ERF, ERF_BY_PRODUCT])
def test_the_exact_form_becomes_one_operator(start: list[onnx.NodeProto], end: list[onnx.NodeProto]) -> None:
    model = spelled_out([*start, *end])
    changed, applied = rewritten(model)
    assert operators(changed) == ["Gelu"]
    assert "half precision" in applied["gelu_fuse"].reason
    assert_same_answers(model, changed, X)
    np.testing.assert_allclose(first_answer(changed, X), expected_exact(X["x"]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("end", [HALF_LAST, HALF_FIRST, HALF_ON_X])
@pytest.mark.parametrize("start", [POLYNOMIAL, POLYNOMIAL_BY_PRODUCTS, POLYNOMIAL_AS_A_FACTOR])
def test_the_tanh_form_becomes_one_operator(start: list[onnx.NodeProto], end: list[onnx.NodeProto]) -> None:
    model = spelled_out([*start, *TANH, *end])
    changed, _ = rewritten(model)
    assert operators(changed) == ["Gelu"]
    assert helper.get_node_attr_value(changed.graph.node[0], "approximate") == b"tanh"
    assert_same_answers(model, changed, X)
    np.testing.assert_allclose(first_answer(changed, X), expected_tanh(X["x"]), rtol=1e-5, atol=1e-6)


def test_x_may_itself_be_a_product() -> None:
    model = spelled_out([node("Mul", ["z", "half"], ["x"]), *ERF, *HALF_LAST])
    model.graph.input[0].name = "z"
    changed, _ = rewritten(model)
    assert operators(changed) == ["Mul", "Gelu"]
    assert_same_answers(model, changed, {"z": X["x"]})


@pytest.mark.parametrize(
    "nodes",
    [
        # Another scale, another summand, and a curve that something else reads, too.
        [node("Mul", ["x", "half"], ["s"]), *ERF[1:], *HALF_LAST],
        [*ERF[:2], node("Add", ["e", "two"], ["a"]), *HALF_LAST],
        [*ERF, node("Mul", ["a", "a"], ["b"]), node("Mul", ["x", "b"], ["m"]), node("Mul", ["m", "half"], ["y"])],
        [*ERF, node("Mul", ["x", "a"], ["y"])],
    ],
)
def test_what_only_looks_like_a_gelu_is_left(nodes: list[onnx.NodeProto]) -> None:
    model = spelled_out(nodes)
    changed, applied = rewritten(model)
    assert "Gelu" not in operators(changed)
    assert applied == {}


def test_an_opset_without_gelu_keeps_it_spelled_out() -> None:
    model = spelled_out([*ERF, *HALF_LAST], opset=18)
    changed, applied = rewritten(model)
    assert operators(changed) == operators(model)
    assert applied == {}


@pytest.mark.parametrize(("approximate", "expected"), [("none", expected_exact), ("tanh", expected_tanh)])
def test_gelu_is_spelled_out_for_an_older_opset(approximate: str, expected: Callable[[Array], Array]) -> None:
    model = graph_of([node("Gelu", ["x"], ["y"], approximate=approximate)], {"x": SHAPE}, {"y": SHAPE}, opset=20)
    changed, applied = rewritten(model, opset=18)
    assert "Gelu" not in operators(changed)
    assert "Pow" not in operators(changed)
    assert "opset 20" in applied["gelu_unfuse"].reason
    assert_same_answers(model, changed, X)
    np.testing.assert_allclose(first_answer(changed, X), expected(X["x"]), rtol=1e-5, atol=1e-6)


def test_gelu_is_spelled_out_where_it_is_asked_for() -> None:
    model = graph_of([node("Gelu", ["x"], ["y"])], {"x": SHAPE}, {"y": SHAPE}, opset=20)
    changed, _ = rewritten(model, decompose=("Gelu",))
    assert "Gelu" not in operators(changed)
    assert_same_answers(model, changed, X)


@pytest.mark.parametrize(("kind", "inputs"), [("Gelu", 1), ("FastGelu", 1), ("FastGelu", 2), ("BiasGelu", 2)])
def test_onnx_runtimes_own_forms_are_spelled_out(kind: str, inputs: int) -> None:
    bias = np.linspace(-1, 1, 16, dtype=np.float32)
    model = graph_of(
        [node(kind, ["x", "bias"][:inputs], ["y"], domain="com.microsoft")],
        {"x": SHAPE},
        {"y": SHAPE},
        {"bias": bias},
        domains=("com.microsoft",),
    )
    changed, _ = rewritten(model)
    assert not {each.domain for each in changed.graph.node} - {""}
    expected = (expected_tanh if kind == "FastGelu" else expected_exact)(X["x"] + (bias if inputs == 2 else 0))
    np.testing.assert_allclose(first_answer(changed, X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [18, 20])
def test_both_forms_are_right_in_half_precision(
    in_half: Callable[[onnx.ModelProto, dict[str, Array]], Array], opset: int
) -> None:
    for approximate, expected in (("none", expected_exact), ("tanh", expected_tanh)):
        model = graph_of([node("Gelu", ["x"], ["y"], approximate=approximate)], {"x": SHAPE}, {"y": SHAPE}, opset=20)
        changed, _ = rewritten(model, opset=opset)
        # Far out, the cube overflows; the tanh of it must not.
        x = np.concatenate([X["x"], np.full((1, 16), -300, np.float32), np.full((1, 16), 300, np.float32)])
        np.testing.assert_allclose(in_half(changed, {"x": x}), expected(x), rtol=4e-3, atol=4e-3)
