"""The settings that a finished export leaves, and the command that does it again."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from npuserve.migrate.chain.settings import CompileSettings, ExportSettings, Settings, SourceSettings
from npuserve.migrate.chain.settings_file import read_migration
from npuserve.migrate.chain.stage import Workspace
from npuserve.migrate.export import ExportStage
from npuserve.migrate.export.used_settings import used_settings
from support.models import identity


def test_they_read_back_as_they_were(tmp_path: Path) -> None:
    for name in ("set.jsonl", "tokenizer.json"):
        (tmp_path / name).touch()
    source = SourceSettings(
        name="näme",
        module="package.module:build",
        python_path=(tmp_path,),
        labels=('"bad"\\', "好"),
        dataset=tmp_path / "set.jsonl",
        tokenizer=tmp_path / "tokenizer.json",
    )
    export = ExportSettings(opset=17, min_cosine=0.5, skip_rewrites=("softmax_mask",))
    settings = Settings(source=source, export=export, compile=CompileSettings(precision="force_fp16"))
    (tmp_path / "migration.toml").write_text(used_settings(settings), encoding="utf-8")
    assert read_migration(tmp_path / "migration.toml", {}).settings == Settings(source=source, export=export)


def test_the_command_does_the_export_again(tmp_path: Path) -> None:
    onnx.save(identity(), str(tmp_path / "given.onnx"))
    np.savez(tmp_path / "rows.npz", x=np.arange(12, dtype=np.float32).reshape(3, 4))
    source = SourceSettings(name="given", onnx=tmp_path / "given.onnx", inputs=tmp_path / "rows.npz")
    folder = tmp_path / "work" / "S1_export"
    folder.mkdir(parents=True)
    workspace = Workspace(settings=Settings(source=source), work=tmp_path / "work")
    result = ExportStage().run(workspace, folder, lambda _: None)
    (command,) = result.commands
    program, *arguments = shlex.split(command)
    assert program == "npuserve"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "npuserve.cli.main", *arguments],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    again = elsewhere / "repeated" / "S1_export"
    for name in ("model.onnx", "migration.toml"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    assert np.load(again / "baseline_outputs.npz")["0/y"].tolist() == [[0, 1, 2, 3]]
