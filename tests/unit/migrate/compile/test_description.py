"""An OM's own words against the graph and the plan."""

import copy
from pathlib import Path
from typing import Any

import pytest
from npuserve.migrate.compile.atc_options import AtcOptions
from npuserve.migrate.compile.description import Differences, describe, differences
from npuserve.migrate.compile.gears import BATCH, LENGTH, Shapes
from npuserve.migrate.compile.outline import outline_of
from support.models import tokens

OUTLINE = outline_of(tokens())
SHAPES = Shapes(inputs={"input_ids": (BATCH, LENGTH), "attention_mask": (BATCH, LENGTH)}, batches=(1, 2), lengths=(8,))
GOOD: dict[str, Any] = {
    "inputs": [
        {"name": "input_ids", "dtype": "INT64", "shape": [-1, 8]},
        {"name": "attention_mask", "dtype": "INT64", "shape": [-1, 8]},
    ],
    "outputs": [{"name": "logits", "dtype": "FP32", "shape": [-1, 8, 3]}],
    "gears": [{"inputs": [[rows, 8], [rows, 8]], "outputs": [[rows, 8, 3]]} for rows in (1, 2)],
}


def compare(content: dict[str, Any], **changes: Any) -> Differences:
    given: dict[str, Any] = {
        "model": Path("model.onnx"),
        "output": Path("model.om"),
        "soc_version": "Ascend910B3",
        "shapes": {"input_ids": (1, 8), "attention_mask": (1, 8)},
    }
    return differences(content, OUTLINE, SHAPES, AtcOptions(**{**given, **changes}))


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    content = copy.deepcopy(GOOD)
    place: Any = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return content


def test_an_om_as_planned_differs_in_nothing() -> None:
    assert compare(GOOD) == Differences(tensors=(), gears=())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (changed("inputs", 0, "dtype", to="INT32"), "input input_ids is INT32 in the OM, INT64 in the ONNX"),
        (
            changed("inputs", 1, "name", to="mask"),
            "the OM has the inputs input_ids, mask, the ONNX has input_ids, atten",
        ),
        (changed("outputs", 0, "dtype", to="FP16"), "output logits is FP16 in the OM, FP32 in the ONNX"),
        (changed("outputs", 0, "shape", to=[-1, 8, 4]), "output logits has the shape [-1, 8, 4] in the OM"),
        (changed("outputs", 0, "shape", to=[-1, 8]), "output logits has the shape [-1, 8] in the OM"),
        (changed("outputs", to=[]), "the OM has the outputs , the ONNX has logits"),
    ],
)
def test_tensors_unlike_the_graphs_are_told(content: dict[str, Any], told: str) -> None:
    (found,) = compare(content).tensors
    assert told in found


def test_types_that_were_asked_for_are_no_difference() -> None:
    assert compare(changed("outputs", 0, "dtype", to="FP16"), output_type="FP16").tensors == ()
    assert compare(changed("inputs", 0, "dtype", to="FP16"), input_fp16_nodes=("input_ids",)).tensors == ()
    assert compare(changed("outputs", 0, "name", to="sums"), out_nodes=("sums:0",)).tensors == ()


def test_missing_and_unplanned_gears_are_told() -> None:
    found = compare(changed("gears", 1, "inputs", to=[[4, 8], [4, 8]]))
    assert found.gears == (
        "the gear input_ids:2,8 attention_mask:2,8 was planned, and the OM has none",
        "the OM has the gear input_ids:4,8 attention_mask:4,8, which was not planned",
    )


def test_an_om_that_does_not_load_says_why(tmp_path: Path) -> None:
    (tmp_path / "model.om").write_bytes(b"no model" * 100)
    found = describe(tmp_path / "model.om", {})
    assert found.content is None
    assert "does not start with an OM header" in found.error
    assert "Traceback" not in found.error
