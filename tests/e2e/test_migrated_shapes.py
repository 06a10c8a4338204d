"""Models that a config has to reshape for clients: what is served of them is still what was exported."""

from pathlib import Path

import numpy as np
import onnx
from npuserve.migrate.chain.settings import ServeSettings, Settings, SourceSettings
from npuserve.migrate.chain.stage import Workspace
from npuserve.migrate.chain.tensors import Tensors, load_samples, save_samples
from npuserve.migrate.serve import ServeStage
from onnx import helper
from support.models import FLOAT, graph_input, onnx_model


def test_a_model_of_the_batch_axis_alone_is_served(tmp_path: Path) -> None:
    sides = [graph_input("x", FLOAT, ["batch"])], [graph_input("y", FLOAT, ["batch"])]
    exported = tmp_path / "S1_export"
    exported.mkdir()
    onnx.save(onnx_model([helper.make_node("Erf", ["x"], ["y"], name="erf")], *sides), exported / "model.onnx")
    samples: list[Tensors] = [{"x": np.array([value], np.float32)} for value in (0.0, np.inf, -np.inf)]
    answers: list[Tensors] = [{"y": np.array([value], np.float32)} for value in (0, 1, -1)]
    save_samples(exported / "baseline.npz", samples)
    save_samples(exported / "baseline_outputs.npz", answers)
    source = SourceSettings(name="curve", onnx=exported / "model.onnx")
    settings = Settings(source=source, serve=ServeSettings(backend="onnxruntime"))
    folder = tmp_path / "S4_serve"
    folder.mkdir()
    result = ServeStage().run(Workspace(settings=settings, work=tmp_path), folder, lambda _: None)
    assert result.passed, result.checks
    assert "unexpected" not in (folder / "server.log").read_text()
    golden = load_samples(folder / "repository" / "curve" / "1" / "golden.npz")
    assert [each["input:x"].shape for each in golden] == [(1,)] * 3
