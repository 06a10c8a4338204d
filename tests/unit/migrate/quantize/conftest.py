"""A finished export of a tiny encoder, and the stage that quantizes it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from npuserve.migrate.chain.quantize_settings import QuantizeSettings
from npuserve.migrate.chain.settings import CompileSettings, Settings, SourceSettings
from npuserve.migrate.chain.stage import Result, Workspace
from npuserve.migrate.chain.tensors import save_samples
from npuserve.migrate.compile import CompileStage
from support.encoders import tiny_encoder, token_samples

EMULATED: Mapping[str, str] = {"PATH": "/bin:/usr/bin"}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that tests start share their cores with others."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("NPUSERVE_EMULATOR_THREADS", "1")


class Quantizing:
    """A work folder whose export is done."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.exported = work / "S1_export"
        self.folder = work / "S2_compile"
        self.gears: tuple[tuple[int, ...], tuple[int, ...]] = (1, 4), (8, 16)
        self.exported.mkdir()
        self.export(tiny_encoder())

    def export(self, model: onnx.ModelProto) -> None:
        onnx.save(model, str(self.exported / "model.onnx"))
        random = np.random.default_rng(5)
        samples = token_samples(random, (5, 8, 8, 12, 12, 16))
        save_samples(self.exported / "baseline.npz", samples)
        save_samples(self.exported / "calibration.npz", token_samples(random, (4, 7, 9, 11, 13, 16)))
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        answers = [{"logits": session.run(["logits"], sample)[0]} for sample in samples]
        save_samples(self.exported / "baseline_outputs.npz", answers)

    def workspace(self, **quantize: Any) -> Workspace:
        return Workspace(
            settings=Settings(
                source=SourceSettings(name="tiny", onnx=self.exported / "model.onnx"),
                compile=CompileSettings(precision="int8", batches=self.gears[0], lengths=self.gears[1]),
                quantize=QuantizeSettings(**quantize),
            ),
            work=self.work,
        )

    def run(self, environment: Mapping[str, str] = EMULATED, **quantize: Any) -> Result:
        self.folder.mkdir()
        return CompileStage(environment).run(self.workspace(**quantize), self.folder, lambda _: None)

    def clear(self) -> None:
        shutil.rmtree(self.folder)

    def kept(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def quantizing(tmp_path: Path) -> Quantizing:
    work = tmp_path / "work"
    work.mkdir()
    return Quantizing(work)
