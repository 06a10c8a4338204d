"""INT8 from beginning to end: calibrate, quantize, keep what must stay in float, compare with float precisions."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.chain.gates import Check
from npuserve.migrate.chain.stage import Result
from npuserve.migrate.compare.programs import Programs
from npuserve.migrate.compare.stopwatch import Stopwatch
from npuserve.migrate.compile.gears import Shapes
from npuserve.migrate.compile.quantized import Quantized, QuantizeJob
from npuserve.migrate.errors import MigrationError, SetupError
from npuserve.migrate.quantize.amct import (
    CONFIG,
    LOG,
    AmctOptions,
    Tool,
    find_amct,
    run_amct,
    write_batches,
    write_config,
)
from npuserve.migrate.quantize.calibration import check_finite, read_calibration
from npuserve.migrate.quantize.layers import Layer, layers_of, read_graph, with_int8
from npuserve.migrate.quantize.precisions import INT8, Oms, Precision, compare_precisions, typical
from npuserve.migrate.quantize.questions import Grade, Questions, read_questions
from npuserve.migrate.quantize.sensitive import Candidate, Search, search
from npuserve.migrate.quantize.simulation import Simulation
from npuserve.migrate.quantize.static import quantize_static

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]

GRAPH, DEPLOY = "quantized.onnx", "deploy.onnx"
SENSITIVE, PRECISIONS = "sensitive_layers.json", "precisions.json"
_AT_ONCE = 16
# Of the calibration sample, to rank layers by.
_RANKING_ROWS = 8
_ADVICE = (
    "try another quantize.calibration: minmax, percentile or entropy",
    "raise quantize.max_accuracy_drop, if the drop can be borne",
    "compile with another precision, as 'force_fp16'",
)


def quantize(job: QuantizeJob) -> Quantized:
    """Quantize a graph after training. Raises MigrationError."""
    return _Quantization(job).result()


class _Quantization:
    """One run. It holds the float graph and its answers until the OM has been compared."""

    def __init__(self, job: QuantizeJob) -> None:
        self._job = job
        self._settings = job.settings.quantize
        self._foreign = Stopwatch()
        self._notes: list[str] = []
        self._commands: list[str] = []
        self._amct = self._tool()
        with self._foreign.running():
            self._model = read_graph(job.exported / "model.onnx")
        self._layers = layers_of(self._model, self._settings.keep_nodes, self._settings.keep_types)
        inputs = _inputs(self._model)
        self._rows = read_calibration(job.exported / "calibration.npz", self._settings.samples, inputs)
        longest = max(job.shapes.lengths, default=job.settings.export.max_length)
        self._questions: Questions = read_questions(job.settings, job.exported, self._model, longest)
        programs = Programs(job.settings.compile, self._foreign)
        self._oms = Oms(job.compiler, job.options, job.shapes, programs, self._foreign)

    def result(self) -> Quantized:
        self._job.tell(f"float32 on {self._questions.what}")
        float32 = Simulation(self._model, self._foreign)
        expected = float32.run(self._rows[:_RANKING_ROWS])
        for number, outputs in enumerate(expected):
            check_finite(outputs, f"output '{{name}}' of float32 for row {number} of the calibration sample")
        self._reference = self._asked(float32)
        self._float_grade = self._questions.grade(self._reference, self._reference)
        with tempfile.TemporaryDirectory(prefix="npuserve_quantize_") as scratch:
            self._job.tell(f"calibrating {len(self._layers)} layers with {len(self._rows)} rows")
            with self._foreign.running():
                full = quantize_static(self._model, self._layers, self._rows, self._settings, Path(scratch))
            found = self._search(full, expected, Path(scratch))
            chosen = found.chosen or min(found.candidates, key=lambda each: each.at_worst)
            graph = self._job.folder / GRAPH
            self._save(self._graph(full, chosen.kept), graph)
            model = graph if self._amct is None else self._by_amct(self._amct, chosen.kept, Path(scratch))
        self._write(SENSITIVE, self._sensitive(found))
        return Quantized(model=model, found=self._found(found, chosen), compare=self._compared)

    def _tool(self) -> Tool | None:
        """Return AMCT, or None for ONNX Runtime."""
        wanted, vendor = self._settings.tool, self._job.compiler.is_vendor
        if wanted == "onnxruntime" or (wanted == "auto" and not vendor):
            return None
        if not vendor:
            raise MigrationError(
                "quantize.tool is 'amct', whose graphs only CANN's atc compiles, and CANN is not here",
                "leave quantize.tool out: then ONNX Runtime quantizes for the emulator",
            )
        found = find_amct(self._job.compiler.environment)
        if found is None and wanted == "amct":
            raise SetupError(
                "quantize.tool is 'amct', and there is no command amct_onnx in PATH",
                "install the amct_onnx package of CANN's toolkit, and its operators for ONNX Runtime",
                "quantize by ONNX Runtime: tool = 'onnxruntime' under [quantize]",
            )
        if found is None:
            self._notes.append(
                "AMCT is not installed, so ONNX Runtime quantized: atc must know QuantizeLinear and DequantizeLinear"
            )
        return found

    def _asked(self, simulation: Simulation) -> list[dict[str, Array]]:
        return self._questions.ask(simulation.run, _AT_ONCE if simulation.takes_batches else 1)

    def _search(self, full: onnx.ModelProto, expected: Sequence[Mapping[str, Array]], scratch: Path) -> Search:
        limit, bisect = self._settings.max_accuracy_drop, self._settings.bisect
        timed = self._amct is None

        def attempt(kept: tuple[str, ...]) -> Candidate:
            nonlocal timed
            graph = self._graph(full, kept)
            grade = self._questions.grade(self._asked(Simulation(graph, self._foreign)), self._reference)
            drop, at_worst = grade.drop(self._float_grade), grade.drop_at_worst(self._float_grade)
            # The OM rounds in other places than the simulation: what only just holds here would not hold there.
            holds = (at_worst if bisect else drop) <= limit
            p50 = None
            if timed:
                try:
                    p50 = self._p50(graph, scratch)
                except MigrationError as error:
                    timed = False
                    self._notes.append(f"the latency of candidates is not known: {error}")
            return Candidate(kept=kept, grade=grade, drop=drop, at_worst=at_worst, holds=holds, p50_ms=p50)

        def error_of(layer: Layer) -> float:
            alone = Simulation(with_int8(full, self._model, {layer.name}), self._foreign)
            return _relative(alone.run(self._rows[:_RANKING_ROWS]), expected)

        return search(
            self._layers,
            attempt,
            error_of,
            bisect=bisect,
            max_trials=self._settings.max_trials,
            tell=self._job.tell,
        )

    def _graph(self, full: onnx.ModelProto, kept: Sequence[str]) -> onnx.ModelProto:
        with self._foreign.running():
            return with_int8(full, self._model, {each.name for each in self._layers} - set(kept))

    def _p50(self, graph: onnx.ModelProto, scratch: Path) -> float:
        """Return the milliseconds of one row of middle length, of an OM for its gear alone."""
        sample = typical(self._questions.samples, 1)[0]
        with tempfile.TemporaryDirectory(dir=scratch) as place:
            model = Path(place) / GRAPH
            self._save(graph, model)
            om = self._oms.compile(model, Path(place), shapes=Shapes(inputs=self._oms.gear(sample)))
            return self._oms.p50s(om, [sample])[0]

    def _by_amct(self, tool: Tool, kept: Sequence[str], scratch: Path) -> Path:
        """Let AMCT quantize all but what is kept, from the same rows."""
        folder, shapes = self._job.folder, self._job.shapes.gears[-1]
        source = scratch / "amct" / "model.onnx"
        source.parent.mkdir()
        self._save(self._model, source)
        folders, batches = write_batches(scratch / "amct", self._rows, shapes)
        left = {each.name for each in self._layers} - set(kept)
        skipped = [each.name for each in layers_of(self._model) if each.name not in left]
        write_config(folder / CONFIG, batches, skipped, ())
        options = AmctOptions(
            model=source,
            save_path=scratch / "amct" / "made",
            shapes=shapes,
            data_dirs=folders,
            dtypes=[str(self._rows[0][name].dtype) for name in shapes],
            batches=batches,
            config=folder / CONFIG,
        )
        self._job.tell("AMCT quantizes")
        with self._foreign.running():
            made = run_amct(tool, options, folder)
        self._commands.append(made.command.replace(str(folder), str(self._job.final)))
        shutil.move(made.deploy, folder / DEPLOY)
        self._notes.append(
            "AMCT finds ranges in its own way: quantize.calibration and the accuracy of candidates are ONNX Runtime's"
        )
        return folder / DEPLOY

    def _found(self, found: Search, chosen: Candidate) -> Result:
        total, kept = len(self._layers), len(chosen.kept)
        notes = [*self._notes, f"int8: {total - kept} of {total} layers that can be quantized; judged by {self._what}"]
        if kept:
            notes.append(
                f"{kept} layers stay in float, as the drop may be {found.first.at_worst:.2f} points without them and "
                f"{chosen.at_worst:.2f} with them: {', '.join(chosen.kept)}"
            )
        artifacts = {
            GRAPH: "the quantized graph, as ONNX Runtime reads it",
            SENSITIVE: "which layers int8 hurts, and what was tried",
        }
        if self._amct is not None:
            artifacts |= {DEPLOY: "the graph as AMCT quantized it", CONFIG: "AMCT's settings", LOG: "AMCT's output"}
        return Result(
            checks=[self._check("accuracy drop of int8, simulated", chosen.drop)],
            artifacts=artifacts,
            commands=self._commands,
            advice=() if chosen.drop <= self._settings.max_accuracy_drop else self._advice(),
            notes=notes,
            figures={
                "quantized_layers": total - kept,
                "kept_layers": kept,
                "int8_candidates": [
                    {name: value for name, value in each.as_json().items() if name != "kept"}
                    for each in found.candidates
                ],
            },
            foreign_seconds=self._foreign.seconds,
        )

    def _advice(self) -> tuple[str, ...]:
        return (*(() if self._settings.bisect else ("let layers stay in float: quantize.bisect = true",)), *_ADVICE)

    @property
    def _what(self) -> str:
        return self._questions.what

    def _check(self, name: str, drop: float) -> Check:
        limit = self._settings.max_accuracy_drop
        return Check(name=name, value=drop, sense="at most", limit=limit, unit="points")

    def _compared(self, om: Path) -> Result:
        """Compare the OM of the quantized graph with OMs of the float one."""
        before = self._foreign.seconds
        self._job.tell(f"float32, float16 and int8 on {self._what}")
        original = self._job.exported / "model.onnx"
        try:
            with tempfile.TemporaryDirectory(prefix="npuserve_precisions_") as scratch:
                found = compare_precisions(self._oms, original, om, self._questions, self._reference, Path(scratch))
        except MigrationError as error:
            return Result(
                notes=[f"float32, float16 and int8 were not compared as OMs: {error}"],
                foreign_seconds=self._foreign.seconds - before,
            )
        rows = [each.as_json() for each in found]
        self._write(PRECISIONS, rows)
        check = self._check("accuracy drop of int8", _grade(found, INT8).drop(_grade(found, "fp32")))
        return Result(
            checks=[check],
            artifacts={PRECISIONS: "float32, float16 and int8: accuracy, size, latency"},
            advice=() if check.passed else self._advice(),
            figures={"precisions": rows},
            foreign_seconds=self._foreign.seconds - before,
        )

    def _sensitive(self, found: Search) -> dict[str, Any]:
        return {
            "judged_by": self._what,
            "max_accuracy_drop": self._settings.max_accuracy_drop,
            "float32": self._float_grade.as_json(),
            "kept": None if found.chosen is None else list(found.chosen.kept),
            "ranking": [
                {"name": layer.name, "kind": layer.kind, "relative_error": error} for layer, error in found.ranking
            ],
            "candidates": [each.as_json() for each in found.candidates],
        }

    def _save(self, model: onnx.ModelProto, path: Path) -> None:
        with self._foreign.running():
            path.write_bytes(model.SerializeToString())

    def _write(self, name: str, content: object) -> None:
        (self._job.folder / name).write_text(json.dumps(content, indent=1) + "\n")


def _inputs(model: onnx.ModelProto) -> list[str]:
    weights = {each.name for each in model.graph.initializer}
    return [each.name for each in model.graph.input if each.name not in weights]


def _grade(found: Sequence[Precision], name: str) -> Grade:
    return next(each.grade for each in found if each.name == name)


def _relative(answers: Sequence[Mapping[str, Array]], expected: Sequence[Mapping[str, Array]]) -> float:
    """Return the root mean square of the error over that of what is expected."""
    error = total = 0.0
    for answer, right in zip(answers, expected, strict=True):
        for name, value in right.items():
            if value.dtype.kind == "f":
                wanted = value.astype(np.float64)
                error += float(np.square(answer[name] - wanted).sum())
                total += float(np.square(wanted).sum())
    return float(np.sqrt(error / total)) if total else float(error > 0)
