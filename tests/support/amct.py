"""A stand-in for AMCT's command: it checks its arguments and its data as AMCT's help describes them."""

from __future__ import annotations

import sys
from pathlib import Path

from support.cann import write_program

_CHECKS = """
import argparse, json, shutil, sys
from pathlib import Path
import numpy as np

parser = argparse.ArgumentParser(prog="amct_onnx", allow_abbrev=False)
command = parser.add_subparsers(required=True).add_parser("calibration", allow_abbrev=False)
for flag in ("--model", "--save_path"):
    command.add_argument(flag, required=True, type=Path)
for flag in ("--input_shape", "--data_dir", "--data_types", "--evaluator", "--calibration_config"):
    command.add_argument(flag)
command.add_argument("--batch_num", type=int, default=1)
given = parser.parse_args()
shapes = [tuple(map(int, part.rpartition(":")[2].split(","))) for part in given.input_shape.split(";")]
folders, types = given.data_dir.split(";"), given.data_types.split(";")
if not len(shapes) == len(folders) == len(types):
    sys.exit("data_dir does not fit input_shape")
for shape, folder, dtype in zip(shapes, folders, types):
    files = sorted(Path(folder).iterdir())
    if len(files) < given.batch_num:
        sys.exit(f"[ERROR] Not enough bin file in {folder}: {len(files)}, batch_num is {given.batch_num}")
    for file in files:
        if file.stat().st_size != np.prod(shape) * np.dtype(dtype).itemsize:
            sys.exit(f"[ERROR] data_dir {file} is not of shape {shape}")
config = Path(given.calibration_config).read_text()
told = json.dumps({"arguments": sys.argv[1:], "config": config})
Path(given.calibration_config).with_name("told.json").write_text(told)
for end in ("_deploy_model.onnx", "_fake_quant_model.onnx"):
    shutil.copy(given.model, str(given.save_path) + end)
"""


def write_amct(folder: Path) -> Path:
    """Writes `amct_onnx`, which leaves what it was told in `told.json` beside its settings; returns its folder."""
    script = folder / "amct.py"
    folder.mkdir(parents=True, exist_ok=True)
    script.write_text(_CHECKS)
    write_program(folder / "amct_onnx", f'exec "{sys.executable}" "{script}" "$@"')
    return folder


def write_broken_amct(folder: Path, said: str, code: int = 1) -> Path:
    """Writes an `amct_onnx` that says this and fails; returns its folder."""
    (folder / "said.txt").parent.mkdir(parents=True, exist_ok=True)
    (folder / "said.txt").write_text(said)
    write_program(folder / "amct_onnx", f'cat "{folder}/said.txt"; exit {code}')
    return folder
