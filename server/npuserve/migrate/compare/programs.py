"""The compiler and the OM runner, as the commands that a person would type."""

import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from npuserve.migrate.chain.settings import CompileSettings
from npuserve.migrate.chain.tensors import Tensors, load_samples, save_samples
from npuserve.migrate.errors import MigrationError

Array = npt.NDArray[Any]

# Of the flags that a user added: those that are about gears, which one shape does not have.
_SHAPE_FLAGS = ("--input_shape", "--dynamic_batch_size", "--dynamic_dims", "--input_shape_range", "--input_format")
_TAIL_LINES = 15


class Programs:
    """Runs `npuserve atc` and `npuserve run`; `seconds` is what was spent in them so far."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.commands: list[str] = []

    def compile(self, flags: Sequence[str]) -> None:
        """Run the compiler. Raises MigrationError with the end of what it said."""
        self._run("atc", flags)

    def describe(self, om: Path) -> dict[str, Any]:
        """Return what an OM says of itself; see `npuserve run --describe`."""
        described: dict[str, Any] = json.loads(self._run("run", [str(om), "--describe"]))
        return described

    def run(
        self, om: Path, samples: Sequence[Tensors], *, repeat: int = 1
    ) -> tuple[list[dict[str, Array]], list[dict[str, Any]]]:
        """Return an OM's outputs and latencies, an entry a sample. Raises MigrationError."""
        with tempfile.TemporaryDirectory() as folder:
            inputs, outputs, latency = (Path(folder) / name for name in ("in.npz", "out.npz", "latency.json"))
            save_samples(inputs, samples)
            files = [f"--inputs={inputs}", f"--outputs={outputs}", f"--latency={latency}"]
            self._run("run", [str(om), *files, f"--repeat={repeat}"])
            return load_samples(outputs), json.loads(latency.read_text())

    def _run(self, command: str, arguments: Sequence[str]) -> str:
        started = time.monotonic()
        self.commands.append(shlex.join(["npuserve", command, *arguments]))
        done = subprocess.run(
            [sys.executable, "-m", "npuserve.cli.main", command, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        self.seconds += time.monotonic() - started
        if done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_TAIL_LINES:])
            raise MigrationError(f"`npuserve {command}` failed with exit code {done.returncode}: {said}")
        return done.stdout


def fixed_shape_flags(
    settings: CompileSettings,
    source: Path,
    output: Path,
    inputs: Mapping[str, Array],
    *,
    precision: str | None = None,
    keep: Path | None = None,
    mix_list: Path | None = None,
) -> list[str]:
    """Return the flags that compile a graph as S2 compiled the model, but for one shape: that of `inputs`.

    output: without `.om`. precision, keep (names of nodes), mix_list: instead of, or besides, what the settings say.
    """
    shapes = ";".join(f"{name}:{','.join(map(str, array.shape))}" for name, array in inputs.items())
    extra = [flag for flag in settings.extra if flag.partition("=")[0] not in _SHAPE_FLAGS]
    mode = precision or settings.precision
    if precision is not None:
        extra = [flag for flag in extra if not flag.startswith("--precision_mode_v2")]
    flags = [
        f"--model={source}",
        "--framework=5",
        f"--output={output}",
        f"--soc_version={settings.soc_version}",
        "--input_format=ND",
        f"--input_shape={shapes}",
        *extra,
    ]
    if not any(flag.startswith("--precision_mode_v2") for flag in extra):
        # The graph of an int8 model says itself where it is quantized.
        flags.append(f"--precision_mode={'must_keep_origin_dtype' if mode == 'int8' else mode}")
    lists = mix_list or (settings.mix_list if precision is None else None)
    if lists is not None:
        flags.append(f"--modify_mixlist={lists}")
    if keep is not None:
        flags.append(f"--keep_dtype={keep}")
    return flags
