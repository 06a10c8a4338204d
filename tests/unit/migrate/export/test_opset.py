"""Conversions between versions of ONNX's operators."""

import numpy as np
import onnx
import pytest
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.rewrites.registry import rewrite
from npuserve.migrate.export.rewrites.rewrite import Target
from onnx import helper
from support.encoders import tiny_encoder, token_samples
from support.rewriting import FLOAT, Kind, assert_same_answers, graph_of, operators, rewritten

node = helper.make_node
X = {"x": np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)}
SHAPE: Kind = (FLOAT, ["batch", 8])


def version_of(model: onnx.ModelProto) -> int:
    return next(each.version for each in model.opset_import if not each.domain)


def old_model() -> onnx.ModelProto:
    """Opset 11: axes are attributes, Softmax takes all that follows its axis for one."""
    nodes = [
        node("ReduceSum", ["x"], ["sum"], axes=[-1], keepdims=1),
        node("Unsqueeze", ["x"], ["wide"], axes=[0]),
        node("Squeeze", ["wide"], ["narrow"], axes=[0]),
        node("Sub", ["narrow", "sum"], ["centred"]),
        node("Softmax", ["centred"], ["y"], axis=-1),
    ]
    return graph_of(nodes, {"x": SHAPE}, {"y": SHAPE}, opset=11)


def new_model() -> onnx.ModelProto:
    nodes = [node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1), node("Sub", ["x", "mean"], ["y"])]
    return graph_of(nodes, {"x": SHAPE}, {"y": SHAPE}, {"axes": np.array([-1])}, opset=18)


@pytest.mark.parametrize("wanted", [13, 17, 18, 20])
def test_an_old_graph_comes_up(wanted: int) -> None:
    changed, applied = rewritten(old_model(), opset=wanted)
    assert version_of(changed) == wanted
    assert applied["opset"].places == (f"opset 11 to {wanted}",)
    assert_same_answers(old_model(), changed, X)


@pytest.mark.parametrize("wanted", [15, 16, 17])
def test_a_new_graph_comes_down(wanted: int) -> None:
    changed, _ = rewritten(new_model(), opset=wanted)
    assert version_of(changed) == wanted
    assert_same_answers(new_model(), changed, X)


@pytest.mark.parametrize(("given", "wanted"), [(17, 18), (17, 20), (20, 18), (20, 15), (23, 17), (25, 18)])
def test_an_encoder_goes_both_ways(given: int, wanted: int) -> None:
    model = onnx.version_converter.convert_version(tiny_encoder(), given)
    sample = token_samples(np.random.default_rng(0), (6,))[0]
    changed, applied = rewritten(model, opset=wanted)
    assert version_of(changed) == wanted
    assert applied["opset"].places == (f"opset {given} to {wanted}",)
    assert_same_answers(model, changed, sample)


def test_a_graph_of_the_wanted_opset_stays() -> None:
    changed, applied = rewritten(new_model())
    assert applied == {}
    assert operators(changed) == operators(new_model())


def test_what_an_older_opset_lacks_is_named() -> None:
    model = graph_of([node("Mish", ["x"], ["y"])], {"x": SHAPE}, {"y": SHAPE}, opset=18)
    with pytest.raises(MigrationError, match=r"cannot be converted from opset 18 to 15.*Mish") as caught:
        rewrite(model, Target(15))
    assert "export.opset = 18" in caught.value.advice[0]


@pytest.mark.parametrize("wanted", [7, 99])
def test_an_opset_out_of_range_is_refused(wanted: int) -> None:
    with pytest.raises(MigrationError, match=f"export.opset is {wanted}: it must be 12 to"):
        rewrite(new_model(), Target(wanted))


def test_a_skipped_rewrite_is_not_applied_and_an_unknown_one_refused() -> None:
    model = new_model()
    assert rewrite(model, Target(17), ["opset"]) == []
    assert version_of(model) == 18
    with pytest.raises(MigrationError, match=r"there is no rewrite 'opsets': they are .*opset"):
        rewrite(model, Target(17), ["opsets"])


def test_only_what_can_be_spelled_out_may_be_asked_for() -> None:
    with pytest.raises(MigrationError, match="'Softmax' cannot be spelled out, only Gelu, LayerNormalization"):
        rewrite(new_model(), Target(18, frozenset(["Softmax"])))
