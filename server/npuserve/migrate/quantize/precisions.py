"""The model in float32, float16 and int8: how right, how large, how fast."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.compare.programs import Programs
from npuserve.migrate.compare.stopwatch import Stopwatch
from npuserve.migrate.compile.atc import run_atc
from npuserve.migrate.compile.atc_options import AtcOptions
from npuserve.migrate.compile.compiler import Compiler
from npuserve.migrate.compile.gears import Shapes
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.quantize.questions import Grade, Questions

Array = npt.NDArray[Any]

FLOATS: Mapping[str, str] = {"fp32": "must_keep_origin_dtype", "fp16": "force_fp16"}
INT8 = "int8"
# Interleaved, so that what else the machine does meets all precisions alike.
_ROUNDS = 3
_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """grade: None: the OM could not be asked. p50_ms: of one row, batch_p50_ms: of as many as a gear has."""

    name: str
    grade: Grade
    size_bytes: int
    p50_ms: float
    batch_p50_ms: float

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "precision": self.name,
            "accuracy": self.grade.accuracy,
            **self.grade.as_json(),
            "size_bytes": self.size_bytes,
            "p50_ms": self.p50_ms,
            "batch_p50_ms": self.batch_p50_ms,
        }


class Oms:
    """Compiles graphs with the shapes of a stage, and runs what comes out."""

    def __init__(
        self, compiler: Compiler, options: AtcOptions, shapes: Shapes, programs: Programs, foreign: Stopwatch
    ) -> None:
        self._compiler, self._options, self._shapes = compiler, options, shapes
        self._programs, self._foreign = programs, foreign

    @property
    def rows(self) -> int:
        """How many rows the largest gear has."""
        return max(self._shapes.batches, default=1)

    def compile(self, model: Path, folder: Path, mode: str | None = None, shapes: Shapes | None = None) -> Path:
        """Return the OM of a graph. mode: of precision; None: as int8 is compiled. shapes: instead of all gears.

        Raises MigrationError.
        """
        options = replace(self._options, model=model, output=folder / "model.om")
        if mode is not None:
            options = replace(options, precision_mode=mode, precision_mode_v2="", quantized=False)
        if shapes is not None:
            options = replace(options, shapes=shapes.gears[0], batch_gears=(), dim_gears=())
        with self._foreign.running():
            compiled = run_atc(self._compiler, options, folder)
        if compiled.om is None:
            raise MigrationError(f"atc refused {model.name}: {compiled.reason}")
        return compiled.om

    def run(self, om: Path, batches: Sequence[Tensors]) -> list[dict[str, Array]]:
        """Return the answers, as large as the gears. Raises MigrationError."""
        return self._programs.run(om, [self.fitted(batch) for batch in batches]).outputs

    def p50s(self, om: Path, batches: Sequence[Tensors]) -> list[float]:
        """Return the median milliseconds of each batch. Raises MigrationError."""
        ran = self._programs.run(om, [self.fitted(batch) for batch in batches], repeat=_RUNS)
        return [float(each["p50_ms"]) for each in ran.latencies]

    def gear(self, batch: Tensors) -> dict[str, tuple[int, ...]]:
        """Return the smallest gear that holds a batch. Raises MigrationError."""
        fitting = [
            gear
            for gear in self._shapes.gears
            if all(
                len(gear[name]) == array.ndim and all(a <= b for a, b in zip(array.shape, gear[name], strict=True))
                for name, array in batch.items()
            )
        ]
        if not fitting:
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in batch.items())
            raise MigrationError(f"no gear holds {shapes}", "compile for longer lengths: compile.lengths")
        return min(fitting, key=lambda gear: sum(int(np.prod(shape)) for shape in gear.values()))

    def fitted(self, batch: Tensors) -> dict[str, Array]:
        """Return a batch that is padded with 0 to its gear, as the server pads."""
        gear = self.gear(batch)
        return {
            name: np.pad(array, [(0, wide - own) for own, wide in zip(array.shape, gear[name], strict=True)])
            for name, array in batch.items()
        }


def compare_precisions(
    oms: Oms, original: Path, int8: Path, questions: Questions, reference: Sequence[Mapping[str, Array]], folder: Path
) -> list[Precision]:
    """Return the three precisions. original: the float graph. int8: the OM. folder: for the other OMs.

    Raises MigrationError if one of them cannot be compiled or run.
    """
    found: dict[str, Path] = {}
    for name, mode in FLOATS.items():
        place = Path(tempfile.mkdtemp(prefix=name, dir=folder))
        found[name] = oms.compile(original, place, mode)
    found[INT8] = int8
    grades = {
        name: questions.grade(questions.ask(lambda batches, om=om: oms.run(om, batches), oms.rows), reference)  # type: ignore[misc]  # a default binds the name
        for name, om in found.items()
    }
    times = interleaved(oms, found, typical(questions.samples, oms.rows))
    return [
        Precision(
            name=name,
            grade=grades[name],
            size_bytes=om.stat().st_size,
            p50_ms=times[name][0],
            batch_p50_ms=times[name][-1],
        )
        for name, om in found.items()
    ]


def interleaved(oms: Oms, found: Mapping[str, Path], batches: Sequence[Tensors]) -> dict[str, list[float]]:
    """Return the median of each OM's medians over some rounds, for each batch."""
    rounds = [{name: oms.p50s(om, batches) for name, om in found.items()} for _ in range(_ROUNDS)]
    return {
        name: [float(np.median(times)) for times in zip(*(each[name] for each in rounds), strict=True)]
        for name in found
    }


def typical(samples: Sequence[Tensors], rows: int) -> list[dict[str, Array]]:
    """Return the sample of middle size, and the same as often as a batch has rows, if it is of one row."""
    middle = sorted(samples, key=lambda sample: sum(array.size for array in sample.values()))[len(samples) // 2]
    single = all(array.ndim and array.shape[0] == 1 for array in middle.values())
    batch = {name: np.repeat(array, rows if single else 1, axis=0) for name, array in middle.items()}
    return [dict(middle), batch]
