"""`npuserve run` on the emulator."""

import json
from pathlib import Path

import numpy as np
import pytest
from npuserve.cli.main import main
from npuserve.migrate.chain.tensors import load_samples, save_samples
from support.models import build_models, expected_tokens

MODELS = Path(__file__).resolve().parents[3] / "build" / "engine_models"


@pytest.fixture(scope="module")
def models() -> Path:
    build_models(MODELS)
    return MODELS


def test_samples_of_several_lengths_are_run_and_cut_back(models: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    samples = [
        {"input_ids": random.integers(1, 99, shape), "attention_mask": np.ones(shape, np.int64)}
        for shape in ((1, 5), (2, 8), (3, 16))
    ]
    save_samples(tmp_path / "in.npz", samples)
    flags = [f"--inputs={tmp_path / 'in.npz'}", f"--outputs={tmp_path / 'out.npz'}", "--repeat=3"]
    assert main(["run", str(models / "tokens.om"), *flags, f"--latency={tmp_path / 'latency.json'}"]) == 0
    for sample, outputs in zip(samples, load_samples(tmp_path / "out.npz"), strict=True):
        np.testing.assert_array_equal(outputs["logits"], expected_tokens(**sample))
    latencies = json.loads((tmp_path / "latency.json").read_text())
    assert [each["shapes"]["input_ids"] for each in latencies] == [[1, 5], [2, 8], [3, 16]]
    assert all(each["runs"] == 3 and 0 < each["p50_ms"] <= each["p99_ms"] for each in latencies)


def test_one_sample_needs_no_numbers_and_a_fixed_shape_runs(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "in.npz", x=np.ones((4, 4), np.float32))
    flags = [f"--inputs={tmp_path / 'in.npz'}", "--repeat=1000000", "--max-seconds=0.01"]
    assert main(["run", str(models / "identity_static.om"), *flags]) == 0
    assert "x:4,4" in capsys.readouterr().out


def test_every_gear_is_timed(models: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.ones((1, 4), np.float32))
    flags = [f"--inputs={tmp_path / 'in.npz'}", f"--gears={tmp_path / 'gears.json'}"]
    assert main(["run", str(models / "identity_b8.om"), *flags]) == 0
    gears = json.loads((tmp_path / "gears.json").read_text())
    assert [each["shapes"] for each in gears] == [{"x": [rows, 4]} for rows in (1, 2, 4, 8)]
    assert all(each["p50_ms"] > 0 for each in gears)


@pytest.mark.parametrize(
    ("inputs", "text", "code"),
    [
        ({"x": np.ones((1, 4))}, "input 'x' must be FP32, got float64", 1),
        ({"y": np.ones((1, 4), np.float32)}, "the OM's input 'x' is missing; it takes x", 1),
        ({"x": np.ones((1, 4), np.float32), "z": np.ones(1)}, "the OM has no input 'z'; it takes x", 1),
        ({"x": np.ones((9, 4), np.float32)}, "9", 1),
        ({}, "it holds no arrays", 2),
    ],
)
def test_inputs_that_do_not_fit_are_told(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], inputs: dict[str, object], text: str, code: int
) -> None:
    np.savez(tmp_path / "in.npz", **inputs)  # type: ignore[arg-type]  # arrays
    assert main(["run", str(models / "identity_b8.om"), f"--inputs={tmp_path / 'in.npz'}"]) == code
    assert text in capsys.readouterr().err


def test_what_is_not_there_is_named(tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(models / "identity_b8.om"), f"--inputs={tmp_path / 'in.npz'}"]) == 2
    assert f"cannot read {tmp_path / 'in.npz'}" in capsys.readouterr().err
    np.savez(tmp_path / "in.npz", x=np.ones((1, 4), np.float32))
    assert main(["run", str(tmp_path / "no.om"), f"--inputs={tmp_path / 'in.npz'}"]) == 1
    assert str(tmp_path / "no.om") in capsys.readouterr().err
    assert main(["run", str(models / "identity_b8.om"), f"--inputs={tmp_path / 'in.npz'}", "--repeat=0"]) == 2
    assert "--repeat must be at least 1, got 0" in capsys.readouterr().err
