"""AMCT's command line, `amct_onnx calibration`: the vendor's quantization, typed, checked and explained.

The options are those that `amct_onnx calibration --help` of CANN 7 names. With `--save_path PREFIX` it writes
`PREFIX_deploy_model.onnx`, for atc, and `PREFIX_fake_quant_model.onnx`, for ONNX Runtime.
"""

import os
import re
import shlex
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.compile.vendor_process import run_logged
from npuserve.migrate.errors import MigrationError, SetupError

Array = npt.NDArray[Any]

PROGRAM = "amct_onnx"
LOG = "amct.log"
CONFIG = "amct.cfg"
DEPLOY, FAKE = "_deploy_model.onnx", "_fake_quant_model.onnx"
_FALLBACK = "quantize by ONNX Runtime: tool = 'onnxruntime' under [quantize]"
# Separates inputs in AMCT's options, so names cannot have it.
_SEPARATORS = set(";:,")

_REASONS: Sequence[tuple[str, str, str]] = (
    (
        r"No module named '?([\w.]+)",
        "AMCT's Python lacks the package {0}",
        "install AMCT and its own ONNX Runtime again, in the Python that amct_onnx runs with",
    ),
    (
        r"(?:undefined symbol|cannot open shared object|amct_onnx_ops|Failed to load library)",
        "AMCT's operators for ONNX Runtime cannot be loaded",
        "build amct_onnx_op again for the version of ONNX Runtime that is installed, as AMCT's guide says",
    ),
    (
        r"(?:[Nn]ot enough|less than|bin file|data_dir).*",
        "AMCT cannot use the calibration data: {match}",
        "raise quantize.samples, or report this with amct.log",
    ),
    (r"(?:skip_layers|layer .* (?:not|does not) (?:exist|in)).*", "AMCT knows no such layer: {match}", _FALLBACK),
    (
        r"(?:Unsupported|unsupported|not support).*",
        "AMCT does not support something in the graph: {match}",
        "export with a lower opset: opset = 13 to 16 under [export]",
    ),
    (r"(?:No space left on device|Disk quota exceeded)", "the disk is full", "make room, and run the migration again"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """program: the file that runs. environment: the variables it runs with."""

    program: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AmctOptions:
    """Checks itself; raises MigrationError.

    save_path: ends with the prefix of the files that are written. shapes: of a batch, by input, in the graph's order.
    data_dirs: a folder an input, of raw batches whose names ascend. dtypes: numpy's. config: of the simplified form.
    """

    model: Path
    save_path: Path
    shapes: Mapping[str, tuple[int, ...]]
    data_dirs: Sequence[Path]
    dtypes: Sequence[str]
    batches: int
    config: Path | None = None

    def __post_init__(self) -> None:
        if not len(self.shapes) == len(self.data_dirs) == len(self.dtypes):
            raise MigrationError(
                f"AMCT needs a folder and a type for each input: {len(self.shapes)} inputs, {len(self.data_dirs)} "
                f"folders, {len(self.dtypes)} types"
            )
        for name, shape in self.shapes.items():
            if set(name) & _SEPARATORS:
                raise MigrationError(f"AMCT cannot be told of the input '{name}': names have no ; : or ,", _FALLBACK)
            if any(size < 1 for size in shape):
                raise MigrationError(f"AMCT needs fixed shapes, and input '{name}' has {list(shape)}", _FALLBACK)
        if self.batches < 1:
            raise MigrationError(f"AMCT needs at least one batch, got {self.batches}")

    def flags(self) -> list[str]:
        """Return the command's flags."""
        shapes = ";".join(f"{name}:{','.join(map(str, shape))}" for name, shape in self.shapes.items())
        flags = ["--model", str(self.model), "--save_path", str(self.save_path), "--input_shape", shapes]
        flags += ["--data_dir", ";".join(map(str, self.data_dirs)), "--data_types", ";".join(self.dtypes)]
        flags += ["--batch_num", str(self.batches)]
        return [*flags, "--calibration_config", str(self.config)] if self.config is not None else flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What AMCT wrote. fake: None: it wrote none. command: as a person would type it."""

    deploy: Path
    fake: Path | None
    command: str


def find_amct(environment: Mapping[str, str]) -> Tool | None:
    """Return AMCT if its command is installed, None if not. Raises SetupError if it cannot run here."""
    home = environment.get("HOME", "")
    places = os.pathsep.join([environment.get("PATH", ""), *([f"{home}/.local/bin"] if home else [])])
    found = shutil.which(PROGRAM, path=places)
    if found is None:
        for place in filter(None, places.split(os.pathsep)):
            if (program := Path(place) / PROGRAM).is_file():
                raise SetupError(f"{program} is there, and may not be run", f"chmod +x {program}", _FALLBACK)
        return None
    return Tool(program=Path(found), environment=environment)


def write_config(path: Path, batches: int, keep_nodes: Sequence[str], keep_types: Sequence[str]) -> None:
    """Write a simplified configuration (AMCT's calibration_config_onnx.proto): symmetric, some layers left out."""
    quoted = [f'skip_layers: "{_escaped(name)}"' for name in keep_nodes]
    quoted += [f'skip_layer_types: "{_escaped(name)}"' for name in keep_types]
    path.write_text("\n".join([f"batch_num: {batches}", "activation_offset: false", *quoted]) + "\n")


def write_batches(
    folder: Path, samples: Sequence[Mapping[str, Array]], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[list[Path], int]:
    """Write samples as raw batches of fixed shapes, padded with 0; return an input's folder each, and their number.

    The last batch is filled with the first rows again. Raises MigrationError if a sample is larger than the shapes.
    """
    rows = next(iter(shapes.values()))[0]
    fitted = [{name: _row(name, sample[name], shape) for name, shape in shapes.items()} for sample in samples]
    count = -(-len(fitted) // rows)
    folders = []
    for place, (name, shape) in enumerate(shapes.items()):
        target = folder / f"input_{place}"
        target.mkdir(parents=True)
        for batch in range(count):
            chosen = [fitted[(batch * rows + row) % len(fitted)][name] for row in range(rows)]
            np.concatenate(chosen).reshape(shape).tofile(target / f"batch_{batch:05d}.bin")
        folders.append(target)
    return folders, count


def run_amct(tool: Tool, options: AmctOptions, folder: Path) -> Made:
    """Quantize; the output is kept in the folder's amct.log. Raises MigrationError, in plain words."""
    command = [str(tool.program), "calibration", *options.flags()]
    log = folder / LOG
    # It leaves files of its own where it runs.
    code = _run(command, tool, options.save_path.parent, log)
    deploy, fake = (options.save_path.with_name(options.save_path.name + end) for end in (DEPLOY, FAKE))
    if code != 0 or not deploy.is_file():
        raise _failure(code, log.read_text(errors="replace"))
    return Made(deploy=deploy, fake=fake if fake.is_file() else None, command=shlex.join([PROGRAM, *command[1:]]))


def _run(command: Sequence[str], tool: Tool, folder: Path, log: Path) -> int:
    with log.open("wb") as output:
        try:
            return run_logged(command, tool.environment, folder, output)
        except OSError as error:
            raise SetupError(
                f"AMCT cannot be started: {command[0]}: {error.strerror or error}",
                "its first line names the Python that it was installed for: install AMCT again",
                _FALLBACK,
            ) from error


def _failure(code: int, text: str) -> MigrationError:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # The last reason: AMCT warns of much before it fails.
    for line in reversed(lines):
        for pattern, words, remedy in _REASONS:
            if match := re.search(pattern, line):
                told = words.format(*match.groups(), match=match[0].strip())
                return MigrationError(f"AMCT failed: {told}", remedy, *([_FALLBACK] if remedy != _FALLBACK else []))
    if code < 0:
        name = signal.Signals(-code).name
        memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return MigrationError(f"AMCT failed: it was ended by {name}{memory}", _FALLBACK)
    said = f": {lines[-1]}" if lines else ", and told no reason"
    ended = f"it ended with code {code}" if code else f"it wrote no *{DEPLOY}"
    return MigrationError(f"AMCT failed: {ended}{said}", f"read {LOG}, kept beside the stage's folder", _FALLBACK)


def _row(name: str, array: Array, shape: tuple[int, ...]) -> Array:
    wanted = (1, *shape[1:])
    if array.ndim != len(shape) or any(own > wide for own, wide in zip(array.shape, wanted, strict=True)):
        raise MigrationError(
            f"a row of the calibration sample has {list(array.shape)} for input '{name}', and the model is compiled "
            f"for {list(shape)}",
            "compile for longer lengths: compile.lengths",
        )
    return np.pad(array, [(0, wide - own) for own, wide in zip(array.shape, wanted, strict=True)])


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')
