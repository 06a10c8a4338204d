"""Masks before a Softmax that half precision cannot hold."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from npuserve.migrate.export.rewrites.softmax_mask import MASKED, clamped
from onnx import TensorProto, helper, numpy_helper
from support.rewriting import FLOAT, INT64, Array, assert_same_answers, first_answer, graph_of, operators, rewritten

node = helper.make_node
LOWEST = float(np.finfo(np.float32).min)
InHalf = Callable[[onnx.ModelProto, Mapping[str, Array]], Array]

SCORES = np.random.default_rng(0).standard_normal((2, 4, 8)).astype(np.float32)
KEPT = np.ones((2, 8), np.int64)
KEPT[1, 5:] = 0
FEEDS: Mapping[str, Array] = {"scores": SCORES, "mask": KEPT}
# A row that pads a batch: nothing of it is kept.
PADDED: Mapping[str, Array] = {"scores": SCORES, "mask": np.array([[1] * 8, [0] * 8])}

AS_A_PRODUCT = [
    node("Cast", ["mask"], ["kept"], to=FLOAT),
    node("Sub", ["one", "kept"], ["out"]),
    node("Mul", ["out", "lowest"], ["bias"]),
    node("Unsqueeze", ["bias", "second"], ["wide"]),
]
AS_A_CHOICE = [
    node("Cast", ["mask"], ["kept"], to=TensorProto.BOOL),
    node("Where", ["kept", "zero", "lowest"], ["bias"]),
    node("Unsqueeze", ["bias", "second"], ["wide"]),
]
AS_A_FILLED_TENSOR = [
    node("Cast", ["mask"], ["kept"], to=TensorProto.BOOL),
    node("Shape", ["mask"], ["shape"]),
    node("ConstantOfShape", ["shape"], ["filled"], value=numpy_helper.from_array(np.array([LOWEST], np.float32))),
    node("Where", ["kept", "zero", "filled"], ["bias"]),
    node("Unsqueeze", ["bias", "second"], ["wide"]),
]
SOFTMAX = [node("Add", ["scores", "wide"], ["sum"]), node("Softmax", ["sum"], ["y"], axis=-1)]


def masked(nodes: list[onnx.NodeProto], lowest: float = LOWEST, **more: Any) -> onnx.ModelProto:
    return graph_of(
        nodes,
        {"scores": (FLOAT, ["batch", 4, "length"]), "mask": (INT64, ["batch", "length"])},
        {"y": (FLOAT, ["batch", 4, "length"])},
        {"one": 1, "zero": 0, "lowest": lowest, "second": np.array([1]), **more},
    )


@pytest.mark.parametrize("mask", [AS_A_PRODUCT, AS_A_CHOICE, AS_A_FILLED_TENSOR])
def test_a_clamped_mask_gives_the_same_weights(mask: list[onnx.NodeProto]) -> None:
    model = masked([*mask, *SOFTMAX])
    changed, applied = rewritten(model)
    assert operators(changed) == operators(model)
    assert "half precision" in applied["softmax_mask"].reason
    assert_same_answers(model, changed, FEEDS)
    assert np.all(first_answer(changed, FEEDS)[1, :, 5:] == 0)


@pytest.mark.parametrize("lowest", [LOWEST, -np.inf, -1e9, -65504.0])
def test_every_mask_that_half_precision_cannot_hold_is_clamped(lowest: float) -> None:
    changed, applied = rewritten(masked([*AS_A_CHOICE, *SOFTMAX], lowest))
    assert len(applied["softmax_mask"].places) == 1
    held = [numpy_helper.to_array(each) for each in changed.graph.initializer]
    assert min(float(each.min()) for each in held) == -MASKED


def test_a_mask_that_fits_is_left() -> None:
    assert rewritten(masked([*AS_A_CHOICE, *SOFTMAX], -10000.0))[1] == {}


def test_a_product_with_the_lowest_number_is_nan_in_half_precision_only_unclamped(in_half: InHalf) -> None:
    model = masked([*AS_A_PRODUCT, *SOFTMAX])
    exact = first_answer(model, FEEDS)
    assert np.isnan(in_half(model, FEEDS)).any()
    np.testing.assert_allclose(in_half(rewritten(model)[0], FEEDS), exact, rtol=4e-3, atol=1e-3)


@pytest.mark.parametrize("lowest", [LOWEST, -np.inf])
def test_a_row_that_is_masked_throughout_is_nan_in_half_precision_only_unclamped(
    in_half: InHalf, lowest: float
) -> None:
    model = masked([*AS_A_CHOICE, *SOFTMAX], lowest)
    assert np.isnan(in_half(model, PADDED)[1]).all()
    got = in_half(rewritten(model)[0], PADDED)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got[0], first_answer(model, PADDED)[0], rtol=4e-3, atol=1e-3)


def test_a_constant_that_others_read_too_is_left_for_them() -> None:
    """The same number is a mask here and a bound there: only the mask is clamped."""
    nodes = [*AS_A_CHOICE, *SOFTMAX[:1], node("Softmax", ["sum"], ["weights"], axis=-1)]
    nodes += [node("Clip", ["weights", "lowest"], ["y"])]
    changed, applied = rewritten(masked(nodes))
    assert len(applied["softmax_mask"].places) == 1
    clip = next(each for each in changed.graph.node if each.op_type == "Clip")
    assert clip.input[1] == "lowest"
    assert numpy_helper.to_array(next(each for each in changed.graph.initializer if each.name == "lowest")) == LOWEST


def test_a_mask_that_others_read_too_is_left_and_told() -> None:
    nodes = [*AS_A_CHOICE, *SOFTMAX[:1], node("Softmax", ["sum"], ["weights"], axis=-1)]
    nodes += [node("IsInf", ["bias"], ["infinite"]), node("Cast", ["infinite"], ["f"], to=FLOAT)]
    nodes += [node("Unsqueeze", ["f", "second"], ["fw"]), node("Add", ["weights", "fw"], ["y"])]
    changed, applied = rewritten(masked(nodes, -np.inf))
    assert applied["softmax_mask"].places == ()
    assert "read by IsInf" in applied["softmax_mask"].left[0]
    assert_same_answers(masked(nodes, -np.inf), changed, FEEDS)


def test_a_large_constant_that_reaches_no_softmax_is_left() -> None:
    nodes = [*AS_A_CHOICE, node("Add", ["scores", "wide"], ["y"])]
    assert rewritten(masked(nodes))[1] == {}


def test_values_keep_their_sign_and_those_that_fit_stay() -> None:
    value = np.array([-np.inf, LOWEST, -5.0, 0.0, 2e4, 1e5], np.float32)
    np.testing.assert_array_equal(clamped(value), np.array([-1e4, -1e4, -5, 0, 2e4, 1e4], np.float32))
