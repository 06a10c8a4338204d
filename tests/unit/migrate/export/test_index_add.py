"""Sums by index, which PyTorch does in place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from npuserve.migrate.export.onnx_file import read_onnx
from npuserve.migrate.export.tracing import Traceable, trace
from onnx import helper
from support.rewriting import (
    FLOAT,
    INT64,
    Array,
    Kind,
    assert_same_answers,
    first_answer,
    graph_of,
    operators,
    rewritten,
)

node = helper.make_node
ROWS = np.arange(24, dtype=np.float32).reshape(6, 4) / 8
INDICES = np.array([[0], [2], [0], [1], [2], [0]])
FEEDS = {"updates": ROWS, "indices": INDICES}
SHAPES: dict[str, Kind] = {"updates": (FLOAT, ["rows", 4]), "indices": (INT64, ["rows", 1])}


def scatter(kind: str = "ScatterND", **attributes: Any) -> onnx.ModelProto:
    return graph_of(
        [node(kind, ["data", "indices", "updates"], ["y"], **attributes)],
        SHAPES,
        {"y": (FLOAT, [3, 4])},
        {"data": np.ones((3, 4), np.float32)},
    )


class SumsByIndex(torch.nn.Module):
    """Adds each token's vector to its row's sum of the token's class, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(20, 4)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        vectors = self.table(input_ids)
        sums = torch.ones(input_ids.shape[0], 3, 4)
        sums.index_add_(1, torch.arange(input_ids.shape[1]) % 3, vectors)
        return sums


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[onnx.ModelProto, dict[str, Array], Array]:
    """A graph of in-place sums, inputs that are not those it was traced with, and PyTorch's answer."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = SumsByIndex().eval()
    path = tmp_path_factory.mktemp("traced") / "model.onnx"
    trace(Traceable(module, False, ("input_ids",)), [{"input_ids": np.ones((1, 5), np.int64)}], path, ("y",), 18)
    ids = np.random.default_rng(0).integers(0, 20, (3, 7))
    return read_onnx(path), {"input_ids": ids}, module(torch.from_numpy(ids)).detach().numpy()


def test_rows_of_the_same_index_are_added_by_a_product() -> None:
    changed, applied = rewritten(scatter(reduction="add"))
    assert "ScatterND" not in operators(changed)
    assert "MatMul" in operators(changed)
    assert "overwrite each other" in applied["index_add"].reason
    expected = np.ones((3, 4), np.float32)
    np.add.at(expected, INDICES[:, 0], ROWS)
    np.testing.assert_allclose(first_answer(changed, FEEDS), expected, rtol=1e-6)


def test_a_module_that_adds_in_place_is_right_after_the_rewrite(
    traced: tuple[onnx.ModelProto, dict[str, Array], Array],
) -> None:
    model, feeds, expected = traced
    changed, applied = rewritten(model)
    assert applied["index_add"].places
    assert "ScatterND" not in operators(changed)
    assert_same_answers(model, changed, feeds)
    np.testing.assert_allclose(first_answer(changed, feeds), expected, rtol=1e-5, atol=1e-6)


def test_it_is_right_in_an_opset_whose_scatter_only_stores(
    traced: tuple[onnx.ModelProto, dict[str, Array], Array],
) -> None:
    model, feeds, expected = traced
    changed, _ = rewritten(model, opset=15)
    np.testing.assert_allclose(first_answer(changed, feeds), expected, rtol=1e-5, atol=1e-6)
    stored = onnx.ModelProto()
    stored.CopyFrom(model)
    for each in stored.graph.node:
        if each.op_type == "ScatterND":
            del each.attribute[:]
    assert not np.allclose(first_answer(stored, feeds), expected, atol=1e-2)


def test_it_is_right_in_half_precision(
    in_half: Callable[[onnx.ModelProto, dict[str, Array]], Array],
    traced: tuple[onnx.ModelProto, dict[str, Array], Array],
) -> None:
    model, feeds, expected = traced
    np.testing.assert_allclose(in_half(rewritten(model)[0], feeds), expected, rtol=4e-3, atol=4e-3)


def test_a_plain_store_is_left() -> None:
    model = scatter()
    changed, applied = rewritten(model)
    assert operators(changed) == ["ScatterND"]
    assert "index_add" not in applied


def test_sums_of_single_elements_are_left_and_told() -> None:
    model = scatter("ScatterElements", reduction="add")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    changed, applied = rewritten(model)
    assert "ScatterElements" in operators(changed)
    assert "elements, not of rows" in applied["index_add"].left[0]
