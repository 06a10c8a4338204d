"""The mask that a Hugging Face model makes for itself, replaced before the export."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from npuserve.migrate.export.checkpoint import load_checkpoint
from npuserve.migrate.export.onnx_file import read_onnx
from npuserve.migrate.export.tracing import Traceable, answer, settle_mask, trace
from support.checkpoints import write_checkpoint
from support.rewriting import Array, operators, rewritten

IDS = np.array([[2, 4, 7, 5, 3], [2, 6, 3, 0, 0]])
MASK = np.array([[1] * 5, [1, 1, 1, 0, 0]])
SAMPLE = {"input_ids": IDS, "attention_mask": MASK}
# A row that pads a batch.
EMPTY_ROW = {"input_ids": IDS, "attention_mask": MASK * np.array([[1], [0]])}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traceable]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "classifier")
        yield load_checkpoint(folder, "classification").bound_to(SAMPLE)
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def graphs(loaded: Traceable, tmp_path_factory: pytest.TempPathFactory) -> dict[str, onnx.ModelProto]:
    """The model as it is, and with the additive mask."""
    folder = tmp_path_factory.mktemp("graphs")
    found = {}
    for name, each in (("own", loaded), ("additive", settle_mask(loaded, [SAMPLE], [answer(loaded, SAMPLE)])[0])):
        trace(each, [SAMPLE], folder / f"{name}.onnx", ("logits",), 18)
        found[name] = read_onnx(folder / f"{name}.onnx")
    return found


def test_the_answers_stay_and_the_lookups_go(loaded: Traceable, graphs: dict[str, onnx.ModelProto]) -> None:
    expected = answer(loaded, SAMPLE)
    changed, applied = settle_mask(loaded, [SAMPLE], [expected])
    np.testing.assert_allclose(answer(changed, SAMPLE)["logits"], expected["logits"], rtol=1e-5, atol=1e-6)
    (what,) = applied
    assert what.places == ("BertForSequenceClassification",)
    assert "GatherND" in what.reason
    assert {"GatherND", "Range"} <= set(operators(graphs["own"]))
    assert not {"GatherND", "Range", "Where"} & set(operators(graphs["additive"]))


def test_it_is_right_in_half_precision_and_an_empty_row_is_finite(
    in_half: Callable[[onnx.ModelProto, Mapping[str, Array]], Array],
    loaded: Traceable,
    graphs: dict[str, onnx.ModelProto],
) -> None:
    expected = answer(loaded, SAMPLE)["logits"]
    changed, _ = rewritten(graphs["additive"])
    np.testing.assert_allclose(in_half(changed, SAMPLE), expected, rtol=1e-2, atol=1e-2)
    got = in_half(changed, EMPTY_ROW)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-2, atol=1e-2)
    assert np.isnan(in_half(graphs["own"], EMPTY_ROW)[1]).all()


def test_a_model_that_answers_otherwise_with_it_keeps_its_own(loaded: Traceable) -> None:
    """As those do that make more of the mask than scores."""

    class CountsTokens(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return attention_mask.float().sum(-1)

    counting = Traceable(CountsTokens().eval(), True).bound_to(SAMPLE)
    same, applied = settle_mask(counting, [SAMPLE], [answer(counting, SAMPLE)])
    assert same is counting
    assert applied == []


def test_other_modules_are_left_alone(tmp_path: Path) -> None:
    module = Traceable(torch.nn.Identity(), False, ("attention_mask",))
    assert settle_mask(module, [SAMPLE], [{}]) == (module, [])
