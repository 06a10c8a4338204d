"""Normalizations, fused and spelled out, with every kind of variance and affine part."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper
from support.rewriting import FLOAT, Array, Kind, assert_same_answers, first_answer, graph_of, operators, rewritten

WIDTH = 16
SHAPE: Kind = (FLOAT, ["batch", "sequence", WIDTH])
X = {"x": (np.random.default_rng(0).standard_normal((2, 3, WIDTH)) * 3 + 1).astype(np.float32)}
SCALE, BIAS = (np.random.default_rng(seed).standard_normal(WIDTH).astype(np.float32) for seed in (1, 2))
node = helper.make_node
Nodes = list[onnx.NodeProto]

DEVIATION = [node("ReduceMean", ["x", "axes"], ["m"]), node("Sub", ["x", "m"], ["d"])]
BIASED = [*DEVIATION, node("Pow", ["d", "two"], ["q"]), node("ReduceMean", ["q", "axes"], ["v"])]
BY_PRODUCT = [*DEVIATION, node("Mul", ["d", "d"], ["q"]), node("ReduceMean", ["q", "positive_axes"], ["v"])]
SUMMED = [*DEVIATION, node("Mul", ["d", "d"], ["q"]), node("ReduceSum", ["q", "axes"], ["t"])]
UNBIASED = [*SUMMED, node("Div", ["t", "width_less_one"], ["v"])]
OF_SQUARES = [
    *DEVIATION,
    node("Mul", ["x", "x"], ["xx"]),
    node("ReduceMean", ["xx", "axes"], ["mx"]),
    node("Mul", ["m", "m"], ["mm"]),
    node("Sub", ["mx", "mm"], ["v"]),
]
# As torch's exporter spells var(): the axis is dropped and brought back, and the mean is taken twice.
RESHAPED = [
    node("ReduceMean", ["x", "axes"], ["m1"]),
    node("Sub", ["x", "m1"], ["d1"]),
    node("Mul", ["d1", "d1"], ["q"]),
    node("ReduceMean", ["q", "axes"], ["r"], keepdims=0),
    node("Mul", ["r", "width"], ["r1"]),
    node("Div", ["r1", "width_less_one"], ["r2"]),
    node("Unsqueeze", ["r2", "axes"], ["v"]),
    *DEVIATION,
]
ROOT = [node("Add", ["v", "epsilon"], ["e"]), node("Sqrt", ["e"], ["s"])]
DIVIDED = [*ROOT, node("Div", ["d", "s"], ["y"])]
INVERTED = [*ROOT, node("Reciprocal", ["s"], ["i"]), node("Mul", ["i", "d"], ["y"])]
POWER = [node("Add", ["epsilon", "v"], ["e"]), node("Pow", ["e", "minus_half"], ["i"]), node("Mul", ["d", "i"], ["y"])]
OVER_POWER = [node("Add", ["v", "epsilon"], ["e"]), node("Pow", ["e", "half"], ["s"]), node("Div", ["d", "s"], ["y"])]
ONE_OVER = [*ROOT, node("Div", ["one", "s"], ["i"]), node("Mul", ["d", "i"], ["y"])]


def spelled_out(nodes: Nodes, opset: int = 18, epsilon: float = 1e-5) -> onnx.ModelProto:
    weights = {
        "axes": np.array([-1]),
        "positive_axes": np.array([2]),
        "two": 2,
        "one": 1,
        "minus_half": -0.5,
        "half": 0.5,
        "width": WIDTH,
        "width_less_one": WIDTH - 1,
        "epsilon": epsilon,
        "scale": SCALE,
        "bias": BIAS,
        "one_scale": 1.5,
    }
    return graph_of(nodes, {"x": SHAPE}, {"y": SHAPE}, weights, opset)


def expected(x: Array, ddof: int = 0, epsilon: float = 1e-5) -> Array:
    x = x.astype(np.float64)
    spread = x.var(-1, ddof=ddof, keepdims=True)
    return np.asarray((x - x.mean(-1, keepdims=True)) / np.sqrt(spread + epsilon))


@pytest.mark.parametrize("end", [DIVIDED, INVERTED, POWER, ONE_OVER, OVER_POWER])
@pytest.mark.parametrize(
    ("start", "ddof"), [(BIASED, 0), (BY_PRODUCT, 0), (UNBIASED, 1), (OF_SQUARES, 0), (RESHAPED, 1)]
)
def test_every_variance_becomes_one_operator(start: Nodes, ddof: int, end: Nodes) -> None:
    model = spelled_out([*start, *end])
    changed, applied = rewritten(model)
    assert operators(changed) == ["LayerNormalization"]
    assert "overflow in half precision" in applied["layer_norm_fuse"].reason
    np.testing.assert_allclose(first_answer(changed, X), expected(X["x"], ddof), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first_answer(changed, X), first_answer(model, X), rtol=1e-4, atol=1e-5)


def renamed(nodes: Nodes, old: str, new: str) -> Nodes:
    copies = []
    for each in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(each)
        copy.output[:] = [new if name == old else name for name in copy.output]
        copies.append(copy)
    return copies


@pytest.mark.parametrize(
    ("affine", "inputs"),
    [
        ([node("Mul", ["n", "scale"], ["y"])], 2),
        ([node("Mul", ["scale", "n"], ["k"]), node("Add", ["k", "bias"], ["y"])], 3),
        ([node("Add", ["n", "bias"], ["y"])], 3),
        ([node("Mul", ["n", "one_scale"], ["k"]), node("Add", ["bias", "k"], ["y"])], 3),
    ],
)
def test_every_affine_part_goes_with_it(affine: Nodes, inputs: int) -> None:
    model = spelled_out([*renamed([*UNBIASED, *DIVIDED], "y", "n"), *affine])
    changed, _ = rewritten(model)
    assert operators(changed) == ["LayerNormalization"]
    assert len(changed.graph.node[0].input) == inputs
    np.testing.assert_allclose(first_answer(changed, X), first_answer(model, X), rtol=1e-4, atol=1e-5)


def test_a_large_epsilon_is_scaled_with_an_unbiased_variance() -> None:
    model = spelled_out([*UNBIASED, *DIVIDED], epsilon=2.0)
    changed, _ = rewritten(model)
    np.testing.assert_allclose(first_answer(changed, X), expected(X["x"], 1, 2.0), rtol=1e-4, atol=1e-5)


def test_epsilon_on_the_deviation_is_left_and_told() -> None:
    nodes = [*BIASED, node("Sqrt", ["v"], ["s"]), node("Add", ["s", "epsilon"], ["e"]), node("Div", ["d", "e"], ["y"])]
    model = spelled_out(nodes)
    changed, applied = rewritten(model)
    assert operators(changed) == operators(model)
    assert "epsilon is added to the deviation" in applied["layer_norm_fuse"].left[0]


def test_a_normalization_over_another_axis_is_left() -> None:
    model = spelled_out([*BIASED, *DIVIDED])
    for each in model.graph.initializer:
        if each.name == "axes":
            each.CopyFrom(onnx.numpy_helper.from_array(np.array([1]), "axes"))
    changed, applied = rewritten(model)
    assert operators(changed) == operators(model)
    assert applied == {}


def test_a_deviation_over_the_root_of_anothers_variance_is_left() -> None:
    nodes = [
        *BIASED,
        *ROOT,
        node("Mul", ["x", "two"], ["x2"]),
        node("ReduceMean", ["x2", "axes"], ["m2"]),
        node("Sub", ["x2", "m2"], ["d2"]),
        node("Div", ["d2", "s"], ["y"]),
    ]
    model = spelled_out(nodes)
    assert "LayerNormalization" not in operators(rewritten(model)[0])


@pytest.mark.parametrize(
    "end",
    [
        # Times the root in place of over it, in three spellings.
        [*ROOT, node("Mul", ["d", "s"], ["y"])],
        [node("Add", ["epsilon", "v"], ["e"]), node("Pow", ["e", "minus_half"], ["i"]), node("Div", ["d", "i"], ["y"])],
        [node("Add", ["epsilon", "v"], ["e"]), node("Pow", ["e", "half"], ["i"]), node("Mul", ["d", "i"], ["y"])],
        # The variance in place of its root.
        [node("Add", ["v", "epsilon"], ["e"]), node("Div", ["d", "e"], ["y"])],
    ],
)
def test_what_only_looks_like_a_normalization_is_left(end: Nodes) -> None:
    model = spelled_out([*BIASED, *end])
    changed, applied = rewritten(model)
    assert operators(changed) == operators(model)
    assert applied == {}


@pytest.mark.parametrize("inputs", [["x", "scale"], ["x", "scale", "bias"]])
def test_the_operator_is_spelled_out_for_an_older_opset(inputs: list[str]) -> None:
    model = spelled_out([node("LayerNormalization", inputs, ["y"], epsilon=1e-3)], opset=17)
    changed, applied = rewritten(model, opset=16)
    assert "LayerNormalization" not in operators(changed)
    assert "opset 17" in applied["layer_norm_unfuse"].reason
    assert_same_answers(model, changed, X)


@pytest.mark.parametrize("opset", [17, 18])
def test_it_is_spelled_out_where_it_is_asked_for_and_comes_back_as_it_was(opset: int) -> None:
    model = spelled_out([node("LayerNormalization", ["x", "scale", "bias"], ["y"])], opset=opset)
    apart, _ = rewritten(model, decompose=("LayerNormalization",))
    assert "LayerNormalization" not in operators(apart)
    assert_same_answers(model, apart, X)
    together, _ = rewritten(apart)
    assert operators(together) == ["LayerNormalization"]
    assert_same_answers(model, together, X)


def test_one_over_several_axes_is_spelled_out() -> None:
    scale = np.random.default_rng(4).standard_normal((3, WIDTH)).astype(np.float32)
    fixed: Kind = (FLOAT, ["batch", 3, WIDTH])
    model = graph_of([node("LayerNormalization", ["x", "w"], ["y"], axis=1)], {"x": fixed}, {"y": fixed}, {"w": scale})
    changed, _ = rewritten(model, decompose=("LayerNormalization",))
    assert_same_answers(model, changed, X)


def test_one_whose_mean_is_read_is_left() -> None:
    model = spelled_out([node("LayerNormalization", ["x", "scale", ""], ["y", "mean"])], opset=17)
    model.graph.output.append(onnx.helper.make_tensor_value_info("mean", FLOAT, ["batch", "sequence", 1]))
    changed, applied = rewritten(model, decompose=("LayerNormalization",))
    assert operators(changed) == ["LayerNormalization"]
    assert "mean or deviation is read" in applied["layer_norm_unfuse"].left[0]


@pytest.mark.parametrize("start", [BIASED, UNBIASED, OF_SQUARES])
def test_large_deviations_are_right_in_half_precision_only_fused(
    start: Nodes, in_half: Callable[[onnx.ModelProto, dict[str, Array]], Array]
) -> None:
    # The square of 300 is 90,000: infinity in half precision.
    x = {"x": X["x"] * 150}
    model = spelled_out([*start, *DIVIDED])
    changed, _ = rewritten(model)
    exact = first_answer(model, x)
    assert not np.allclose(in_half(model, x), exact, atol=0.1)
    np.testing.assert_allclose(in_half(changed, x), exact, rtol=1e-2, atol=1e-2)
