"""What the last stages of a migration leave: a repository that a real server serves."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from npuserve.migrate.chain.settings import ProveSettings
from npuserve.migrate.chain.stage import Result, Workspace
from npuserve.migrate.chain.tensors import load_samples
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.prove import ProveStage
from npuserve.migrate.serve import ServeStage
from support.migrated import compiled, exported, workspace
from support.server import serving


@pytest.mark.parametrize("backend", ["ascend", "onnxruntime"])
def test_a_compiled_model_becomes_a_service_that_answers_as_it_did(tmp_path: Path, backend: str) -> None:
    exported(tmp_path, labels=["a", "b", "c"])
    if backend == "ascend":
        compiled(tmp_path)
    folder = tmp_path / "S4_serve"
    folder.mkdir()
    result = ServeStage().run(workspace(tmp_path, backend), folder, lambda text: None)
    assert result.passed, result.checks
    assert set(result.artifacts) == {path.name for path in folder.iterdir()}
    assert {row["status"] for row in result.figures["consistency"]} == {"ok"}
    assert "one request against the baseline: 1 rows, cosine 1.000000000" in (folder / "smoke.log").read_text()
    model = folder / "repository" / "words"
    assert (model / "labels.txt").read_text().split() == ["a", "b", "c"]
    golden = load_samples(model / "1" / "golden.npz")
    assert [set(each) for each in golden] == [{"input:input_ids", "input:attention_mask", "output:logits"}] * 6


def test_a_service_that_answers_otherwise_fails_the_gate(tmp_path: Path) -> None:
    exported(tmp_path)
    path = tmp_path / "S1_export" / "baseline_outputs.npz"
    answers = dict(np.load(path))
    np.savez(path, **{key: array + (key == "0/logits") for key, array in answers.items()})
    folder = tmp_path / "S4_serve"
    folder.mkdir()
    result = ServeStage().run(workspace(tmp_path, "onnxruntime"), folder, lambda text: None)
    assert [check.name for check in result.checks if not check.passed] == ["max abs error of one answer"]
    assert result.advice


def test_a_model_that_a_server_refuses_for_its_golden_answers_fails_the_gate_by_them(tmp_path: Path) -> None:
    exported(tmp_path)
    path = tmp_path / "S1_export" / "baseline_outputs.npz"
    answers = dict(np.load(path))
    np.savez(path, **{key: -array if key == "0/logits" else array for key, array in answers.items()})
    folder = tmp_path / "S4_serve"
    folder.mkdir()
    result = ServeStage().run(workspace(tmp_path, "onnxruntime"), folder, lambda text: None)
    assert list(map(str, result.checks)) == ["cosine of logits, golden sample 0 is -1, must be at least 0.999"]
    assert set(result.artifacts) == {path.name for path in folder.iterdir()}
    assert result.advice


@pytest.fixture
def served(tmp_path: Path) -> Workspace:
    """As the fourth stage leaves it, to be proved. Speed is chance on a machine that does other things."""
    exported(tmp_path)
    compiled(tmp_path)
    (tmp_path / "S4_serve").mkdir()
    (tmp_path / "S5_prove").mkdir()
    place = workspace(tmp_path, "ascend")
    assert ServeStage().run(place, tmp_path / "S4_serve", lambda text: None).passed
    prove = ProveSettings(concurrencies=(1, 4), seconds=0.5, rounds=2, min_qps_ratio=0.001, max_p99_ratio=1000)
    return replace(place, settings=replace(place.settings, prove=prove))


def proved(place: Workspace, **changes: str) -> Result:
    prove = replace(place.settings.prove, **changes)  # type: ignore[arg-type]  # the fields that are texts
    changed = replace(place, settings=replace(place.settings, prove=prove))
    return ProveStage().run(changed, place.work / "S5_prove", lambda text: None)


def test_the_new_service_is_proved_beside_onnx_runtime(served: Workspace) -> None:
    result = proved(served)
    assert result.passed, result.checks
    assert [(row["server"], row["concurrency"]) for row in result.figures["load"]] == [
        ("npuserve", 1),
        ("baseline", 1),
        ("npuserve", 4),
        ("baseline", 4),
    ]
    assert all(row["qps"] > 0 and row["errors"] == 0 for row in result.figures["load"])
    assert all(row["points"][-1][1] == 1 for row in result.figures["cdf"])
    assert result.figures["consistency"][0]["argmax_agreement"] == 1
    assert {row["server"] for row in result.figures["memory"]} == {"npuserve", "baseline"}
    assert json.dumps(result.figures, allow_nan=False)
    assert (served.work / "S5_prove" / "baseline_repository" / "words" / "1" / "model.onnx").is_symlink()


def test_the_new_service_is_proved_beside_the_one_that_runs(served: Workspace) -> None:
    with serving(served.work / "S4_serve" / "repository") as old:
        result = proved(served, baseline=old.url)
        assert result.passed, result.checks
        assert {path.name for path in (served.work / "S5_prove").iterdir()} == {"new.log"}
        with pytest.raises(MigrationError, match=r"does not serve the model 'other'.*unknown model: 'other'"):
            proved(served, baseline=old.url, baseline_model="other")


def test_a_baseline_that_does_not_run_is_told(served: Workspace) -> None:
    with pytest.raises(MigrationError, match=r"prove.baseline 127.0.0.1:1 does not serve the model 'words'") as raised:
        proved(served, baseline="127.0.0.1:1")
    assert raised.value.advice[0].startswith("start the old server")
