"""The compiler for one shape, and OMs run in processes of their own: AscendCL is for a process's whole life."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from npuserve.migrate.chain.settings import CompileSettings
from npuserve.migrate.chain.tensors import Tensors, load_samples, save_samples
from npuserve.migrate.compare.stopwatch import Stopwatch
from npuserve.migrate.compile.atc import run_atc
from npuserve.migrate.compile.atc_options import atc_options
from npuserve.migrate.compile.compiler import find_compiler
from npuserve.migrate.compile.gears import Shapes
from npuserve.migrate.errors import MigrationError

Array = npt.NDArray[Any]

_TAIL_LINES = 15
# Of repeating one sample.
_MOST_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What an OM answered and how long it took, an entry a sample. gears: how long each gear takes, if asked."""

    outputs: list[dict[str, Array]]
    latencies: list[dict[str, Any]]
    gears: list[dict[str, Any]]


class Programs:
    """Compiles as S2 did, but for fixed shapes, and runs OMs. foreign: what their time is counted in."""

    def __init__(self, settings: CompileSettings, foreign: Stopwatch) -> None:
        self._settings = settings
        self._compiler = find_compiler(os.environ, settings.soc_version)
        self.foreign = foreign

    def compile(
        self,
        model: Path,
        inputs: Mapping[str, Array],
        *,
        precision: str | None = None,
        keep: Path | None = None,
        mix_list: Path | None = None,
    ) -> Path:
        """Compile for the shapes of the inputs; return the OM, beside the model.

        precision, keep (names of nodes), mix_list: instead of, or besides, what the settings say.
        Raises MigrationError with the compiler's reason.
        """
        settings = self._settings
        if precision is not None:
            extra = tuple(flag for flag in settings.extra if not flag.startswith("--precision_mode_v2"))
            settings = replace(settings, precision=precision, extra=extra, mix_list=mix_list)
        shapes = Shapes(inputs={name: array.shape for name, array in inputs.items()})
        options = atc_options(settings, model, model.with_suffix(".om"), shapes)
        if keep is not None:
            options = replace(options, keep_dtype=keep)
        with self.foreign.running():
            compiled = run_atc(self._compiler, options, model.parent)
        if compiled.om is None:
            raise MigrationError(f"atc refused {model.name}: {compiled.reason}")
        return compiled.om

    def run(self, om: Path, samples: Sequence[Tensors], *, repeat: int = 1) -> Ran:
        """Run an OM. Raises MigrationError."""
        return self._ran(om, samples, [f"--repeat={repeat}", f"--max-seconds={_MOST_SECONDS}"])

    def run_with_gears(self, om: Path, samples: Sequence[Tensors]) -> Ran:
        """Run an OM, and time its gears. Raises MigrationError."""
        return self._ran(om, samples, [], gears=True)

    def _ran(self, om: Path, samples: Sequence[Tensors], flags: Sequence[str], *, gears: bool = False) -> Ran:
        with tempfile.TemporaryDirectory() as folder:
            inputs, outputs, latency, timed = (
                Path(folder) / each for each in ("in.npz", "out.npz", "l.json", "g.json")
            )
            save_samples(inputs, samples)
            files = [f"--inputs={inputs}", f"--outputs={outputs}", f"--latency={latency}"]
            self._run([str(om), *files, *flags, *([f"--gears={timed}"] if gears else [])])
            return Ran(
                outputs=load_samples(outputs),
                latencies=json.loads(latency.read_text()),
                gears=json.loads(timed.read_text()) if gears else [],
            )

    def _run(self, arguments: Sequence[str]) -> None:
        with self.foreign.running():
            done = subprocess.run(
                [sys.executable, "-m", "npuserve.cli.run", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        if done.returncode != 0:
            said = "\n".join(done.stderr.strip().splitlines()[-_TAIL_LINES:])
            raise MigrationError(f"the OM could not be run: {said or f'exit code {done.returncode}'}")
