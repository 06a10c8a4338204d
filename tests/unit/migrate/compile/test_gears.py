"""For which shapes a model is compiled."""

from pathlib import Path

import pytest
from npuserve.migrate.chain.settings import CompileSettings
from npuserve.migrate.compile.gears import PlannedShapes, plan_shapes
from npuserve.migrate.compile.outline import GraphTensor, Outline, outline_of
from npuserve.migrate.errors import MigrationError
from support.models import tokens

TOKENS = outline_of(tokens())


def outline(**dims: tuple[int | str, ...]) -> Outline:
    tensors = tuple(GraphTensor(name, "FP32", axes) for name, axes in dims.items())
    return Outline(opsets={"": 17}, operators={("", "Add"): 1}, inputs=tensors, outputs=())


def planned(
    folder: Path,
    settings: CompileSettings,
    graph: Outline = TOKENS,
    *,
    lengths: list[int] | None = None,
    max_length: int = 64,
    single: bool = False,
) -> PlannedShapes:
    path = folder / "lengths.txt"
    if lengths is not None:
        path.write_text("".join(f"{length}\n" for length in lengths))
    return plan_shapes(graph, settings, path, max_length, single=single)


def test_named_batches_and_lengths_make_every_pair_a_gear(tmp_path: Path) -> None:
    shapes = planned(tmp_path, CompileSettings(batches=(8, 1), lengths=(32, 16))).shapes
    assert (shapes.batches, shapes.lengths) == ((1, 8), (16, 32))
    assert [gear["input_ids"] for gear in shapes.gears] == [(1, 16), (1, 32), (8, 16), (8, 32)]
    assert all(gear["input_ids"] == gear["attention_mask"] for gear in shapes.gears)


def test_lengths_are_planned_from_what_the_export_saw(tmp_path: Path) -> None:
    found = planned(tmp_path, CompileSettings(max_batch=4, max_gears=6), lengths=[5] * 90 + [60] * 10)
    assert found.shapes.batches == (1, 2, 4)
    assert len(found.shapes.lengths) <= 2
    assert found.shapes.lengths[0] == 8
    assert found.proposal is not None
    assert 0 < found.proposal.waste < 1


def test_the_longest_gear_holds_the_longest_request_not_only_the_samples(tmp_path: Path) -> None:
    assert planned(tmp_path, CompileSettings(), lengths=[5, 9], max_length=128).shapes.lengths[-1] == 128
    assert planned(tmp_path, CompileSettings(), lengths=[5, 200], max_length=128).shapes.lengths[-1] == 200


def test_no_gear_is_longer_than_the_model_has_positions_for(tmp_path: Path) -> None:
    (tmp_path / "max_length.txt").write_text("32\n")
    assert planned(tmp_path, CompileSettings(), lengths=[5, 9], max_length=128).shapes.lengths[-1] == 32


def test_gears_stay_below_the_limit_of_the_settings(tmp_path: Path) -> None:
    found = planned(tmp_path, CompileSettings(max_batch=8, max_gears=9), lengths=list(range(1, 65)))
    assert len(found.shapes.gears) <= 9


def test_rows_beyond_named_lengths_are_told(tmp_path: Path) -> None:
    found = planned(tmp_path, CompileSettings(batches=(1, 2), lengths=(16,)), lengths=[8, 20, 30])
    assert found.notes == ("2 of 3 rows of the data set are longer than the longest gear, 16",)
    assert found.proposal is None


def test_without_lengths_there_is_nothing_to_plan_for(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"the export wrote no lengths\.txt") as caught:
        planned(tmp_path, CompileSettings())
    assert "name lengths under [compile]" in caught.value.advice[0]


def test_lengths_that_are_none_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "lengths.txt").write_text("5\nmany\n")
    with pytest.raises(MigrationError, match=r"lengths\.txt, line 2: expected an integer"):
        plan_shapes(TOKENS, CompileSettings(), tmp_path / "lengths.txt", 64)


def test_more_batches_than_gears_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="gears cannot be planned: --max-gears 2 is less than the 3 batch sizes"):
        planned(tmp_path, CompileSettings(batches=(1, 2, 4), max_gears=2), lengths=[5])


def test_a_model_whose_batch_alone_varies_needs_no_lengths(tmp_path: Path) -> None:
    shapes = planned(tmp_path, CompileSettings(max_batch=4), outline(x=("batch", 4))).shapes
    assert (shapes.batches, shapes.lengths) == ((1, 2, 4), ())
    assert [gear["x"] for gear in shapes.gears] == [(1, 4), (2, 4), (4, 4)]


def test_a_scalar_and_fixed_axes_stay_as_they_are(tmp_path: Path) -> None:
    shapes = planned(
        tmp_path, CompileSettings(batches=(1, 2), lengths=(8,)), outline(x=("batch", "", 3), table=(5, 7), scale=())
    ).shapes
    assert shapes.gears == (
        {"x": (1, 8, 3), "table": (5, 7), "scale": ()},
        {"x": (2, 8, 3), "table": (5, 7), "scale": ()},
    )


def test_fixed_shapes_are_one_gear(tmp_path: Path) -> None:
    found = planned(tmp_path, CompileSettings(), outline(x=(1, 16)))
    assert found.shapes.gears == ({"x": (1, 16)},)
    assert found.notes == ("the ONNX has fixed shapes, so there is one gear",)


def test_gears_for_fixed_shapes_contradict(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"no dynamic axis, its shapes are fixed: x \[1, 16\]"):
        planned(tmp_path, CompileSettings(batches=(1, 8)), outline(x=(1, 16)))


def test_a_single_gear_is_the_largest_planned(tmp_path: Path) -> None:
    shapes = planned(tmp_path, CompileSettings(max_batch=8), lengths=[5, 9], single=True).shapes
    assert (shapes.batches, shapes.lengths) == ((8,), (64,))


def test_a_model_without_inputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="the ONNX has no inputs"):
        planned(tmp_path, CompileSettings(), outline())
