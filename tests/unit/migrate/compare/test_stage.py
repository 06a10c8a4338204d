"""The whole comparison on a tiny encoder, with and without an operator that computes wrong."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from npuserve.migrate.chain.settings import CompareSettings, Settings, SourceSettings
from npuserve.migrate.chain.stage import Workspace
from npuserve.migrate.chain.tensors import load_samples
from npuserve.migrate.compare import CompareStage
from npuserve.migrate.compare.given import given
from npuserve.migrate.compare.graph import LayerGraph
from npuserve.migrate.compare.reference import Reference
from npuserve.migrate.compare.stopwatch import Stopwatch
from npuserve.migrate.errors import MigrationError

from .conftest import Compared
from .test_dump import write_dump

FAULTS = "NPUSERVE_EMULATOR_PRECISION_FAULTS"


def test_a_right_model_passes_and_leaves_its_evidence(compared: Compared) -> None:
    result, folder = compared("must_keep_origin_dtype")
    assert result.passed
    assert result.notes == []
    assert result.figures["first_bad_layer"] is None
    assert {check.name for check in result.checks} == {
        "cosine of logits",
        "max abs error of logits",
        "mean abs error of logits",
    }
    assert set(result.artifacts) == {path.name for path in folder.iterdir()}
    layers = json.loads((folder / "layers.json").read_text())
    assert len(layers) == 5 + 2 * 14 + 7
    assert [each["relative"] for each in layers] == sorted((each["relative"] for each in layers), reverse=True)
    gears = json.loads((folder / "latency.json").read_text())
    assert [each["gear"] for each in gears] == ["1x8", "4x8", "1x16", "4x16"]
    assert all(each["p50_ms"] > 0 for each in gears)
    drawn = ET.parse(folder / "errors.svg").getroot()
    points = drawn.findall("{http://www.w3.org/2000/svg}circle")
    assert len(points) == len(layers)
    texts = {each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"0", "1e-6"} <= texts
    assert "1e-9" not in texts


@pytest.mark.parametrize("name", ["block_0/widened", "block_1/shares", "logits"])
def test_a_planted_fault_is_named_as_the_first_bad_layer(
    compared: Compared, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(FAULTS, f"{name}:0.05")
    result, _ = compared("must_keep_origin_dtype")
    assert not result.passed
    assert result.figures["first_bad_layer"]["name"] == name
    (alone,) = [each for each in result.figures["single_operators"] if each["name"] == name]
    assert alone["faulty"]
    assert alone["alone"]["relative"] == pytest.approx(0.05, rel=1e-3)
    assert name in result.notes[0]
    assert name in result.advice[0]
    assert result.figures["candidates"] == []


def test_half_precision_is_what_half_precision_is(compared: Compared) -> None:
    result, _ = compared("force_fp16", min_cosine=0.999, max_abs_error=0.02, mean_abs_error=0.01)
    assert result.passed, result.checks
    assert result.figures["first_bad_layer"] is None
    errors = {each["name"]: each["relative"] for each in result.figures["error_by_depth"]}
    assert 1e-5 < errors["block_0/queries"] < 2e-3
    assert 1e-5 < errors["logits"] < 1e-2


def test_half_precision_has_limits_of_its_own_and_the_result_says_so(compared: Compared) -> None:
    result, _ = compared("force_fp16")
    assert result.passed, result.checks
    (limits,) = result.figures["limits"]
    assert limits["why"].startswith("float16: 0.0039 of the largest value")
    assert {check.limit for check in result.checks} == {limits["min_cosine"], limits["max_abs"], limits["mean_abs"]}
    assert result.notes == [f"limits of logits: {limits['why']}"]


def test_the_layer_that_half_precision_spoils_is_kept_in_float32(
    compared: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAULTS, "block_0/activated:0.2:half")
    result, folder = compared("force_fp16", min_cosine=0.999, max_abs_error=0.02, mean_abs_error=0.01)
    assert not result.passed
    assert result.figures["first_bad_layer"]["name"] == "block_0/activated"
    assert (folder / "keep_dtype.txt").read_text() == "block_0/activated\n"
    assert json.loads((folder / "mixlist.json").read_text()) == {"black-list": {"to-add": ["Tanh"]}}
    candidates = {each["name"]: each for each in result.figures["candidates"]}
    assert not candidates["as it is"]["holds"]
    assert candidates["1 layers by name"]["holds"]
    assert candidates["mixed, Tanh kept"]["holds"]
    assert candidates["float32"]["holds"]
    assert all(each["p50_ms"] > 0 for each in candidates.values())
    assert f"--keep_dtype={folder / 'keep_dtype.txt'}" in result.advice[0]


def test_layers_are_read_from_a_dump_where_there_is_one(compared: Compared, tmp_path: Path) -> None:
    _, folder = compared("must_keep_origin_dtype")
    (batch,) = load_samples(folder / "layer_inputs.npz")
    graph = LayerGraph.load(tmp_path / "S1_export" / "model.onnx")
    tensors = [tensor for layer in graph.layers for tensor in layer.outputs]
    values = Reference(graph.with_outputs(tensors), Stopwatch(), exact=True).run(batch)
    dump = tmp_path / "dump"
    for layer, value in zip(graph.layers, values.values(), strict=True):
        if value.dtype == np.float32:
            wrong = np.float32(1.0 + 0.05 * (layer.name == "block_1/shares"))
            write_dump(dump, f"fused_{layer.depth}", [(value * wrong, layer.name, 0)])
    write_dump(dump, "other", [(np.zeros((2, 2), np.float32), "nobody", 0)])
    compare = CompareSettings(dump=dump)
    settings = Settings(source=SourceSettings(name="tiny", onnx=Path("m.onnx")), compare=compare)
    workspace = Workspace(settings=settings, work=tmp_path)
    before = CompareStage().fingerprint(workspace)
    again = tmp_path / "again"
    again.mkdir()
    found = CompareStage().run(workspace, again, lambda _: None)
    errors = {each["name"]: each["relative"] for each in found.figures["error_by_depth"]}
    assert len(errors) > 20
    assert errors["block_1/shares"] == pytest.approx(0.05, rel=1e-3)
    assert max(relative for name, relative in errors.items() if name != "block_1/shares") == 0
    assert "1 tensors of the dump are left out: nobody:0 is no output of the ONNX graph" in found.notes
    write_dump(dump, "late", [(np.zeros(1, np.float32), "logits", 0)])
    assert CompareStage().fingerprint(workspace) != before


def test_a_dump_of_another_batch_is_refused_in_words(compared: Compared, tmp_path: Path) -> None:
    compared("must_keep_origin_dtype")
    dump = tmp_path / "dump"
    write_dump(dump, "head", [(np.zeros((1, 3), np.float32), "logits", 0)])
    settings = Settings(source=SourceSettings(name="tiny", onnx=Path("m.onnx")), compare=CompareSettings(dump=dump))
    again = tmp_path / "again"
    again.mkdir()
    found = CompareStage().run(Workspace(settings=settings, work=tmp_path), again, lambda _: None)
    assert found.passed
    assert found.notes[-1].startswith(f"the comparison of layers ended early: no tensor of the dump {dump} can be")


def test_a_comparison_before_its_time_says_what_is_missing(tmp_path: Path) -> None:
    workspace = Workspace(settings=Settings(source=SourceSettings(name="tiny", onnx=Path("m.onnx"))), work=tmp_path)
    with pytest.raises(MigrationError, match=r"there is no .*model\.onnx: run the stages before"):
        CompareStage().run(workspace, tmp_path, lambda _: None)


def test_a_quantized_model_is_compared_with_its_quantized_graph(tmp_path: Path) -> None:
    workspace = Workspace(settings=Settings(source=SourceSettings(name="tiny", onnx=Path("m.onnx"))), work=tmp_path)
    for name in ("S1_export/model.onnx", "S1_export/baseline.npz", "S2_compile/model.om", "S2_compile/deploy.onnx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert given(workspace).model == tmp_path / "S1_export" / "model.onnx"
    (tmp_path / "S2_compile" / "command.txt").write_text(f"atc --model={tmp_path}/S2_compile/deploy.onnx --output=m\n")
    assert given(workspace).model == tmp_path / "S2_compile" / "deploy.onnx"
    (tmp_path / "S2_compile" / "quantized.onnx").touch()
    assert given(workspace).model == tmp_path / "S2_compile" / "quantized.onnx"


def test_the_fingerprint_follows_the_limits_and_the_precision() -> None:
    settings = Settings(source=SourceSettings(name="tiny", onnx=Path("m.onnx")))
    others = (
        replace(settings, compare=replace(settings.compare, min_cosine=0.5)),
        replace(settings, compile=replace(settings.compile, precision="force_fp16")),
    )
    texts = {
        CompareStage().fingerprint(Workspace(settings=each, work=Path())) for each in (settings, settings, *others)
    }
    assert len(texts) == 3
