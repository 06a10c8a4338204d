"""A tiny encoder, the folders of the stages before, and the comparison of both."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from npuserve.migrate.chain.settings import CompareSettings, CompileSettings, Settings, SourceSettings
from npuserve.migrate.chain.stage import Result, Workspace
from npuserve.migrate.chain.tensors import save_samples
from npuserve.migrate.compare import CompareStage
from support.encoders import tiny_encoder, token_samples
from support.models import compile_model

GEARS = "--dynamic_dims=1,8,1,8;4,8,4,8;1,16,1,16;4,16,4,16"
SHAPES = "--input_shape=input_ids:-1,-1;attention_mask:-1,-1"

Compared = Callable[..., tuple[Result, Path]]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that tests start share their cores with others."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("NPUSERVE_EMULATOR_THREADS", "1")


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    """Compiles the tiny encoder in a precision and compares it; returns the result and the stage's folder."""

    def run(precision: str, **limits: float) -> tuple[Result, Path]:
        settings = Settings(
            source=SourceSettings(name="tiny", onnx=tmp_path / "S1_export" / "model.onnx"),
            compile=CompileSettings(precision=precision),
            compare=CompareSettings(**limits),  # type: ignore[arg-type]  # worst_layers is never given
        )
        workspace = workspace_of(tmp_path, settings)
        stage = CompareStage()
        folder = tmp_path / stage.folder
        folder.mkdir()
        return stage.run(workspace, folder, lambda _: None), folder

    return run


def workspace_of(work: Path, settings: Settings) -> Workspace:
    """What the first two stages leave."""
    exported, compiled = work / "S1_export", work / "S2_compile"
    exported.mkdir()
    compiled.mkdir()
    model = tiny_encoder()
    onnx.save(model, str(exported / "model.onnx"))
    save_samples(exported / "baseline.npz", token_samples(np.random.default_rng(3), (5, 8, 12, 16)))
    precision = f"--precision_mode={settings.compile.precision}"
    compile_model(model, compiled / "model", SHAPES, GEARS, precision)
    return Workspace(settings=settings, work=work)
