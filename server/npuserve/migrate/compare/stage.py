"""S3 of the chain."""

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.stage import Result, Tell, Workspace
from npuserve.migrate.chain.tensors import load_samples, save_samples
from npuserve.migrate.compare.advice import advice, limit_notes, notes
from npuserve.migrate.compare.batches import joined
from npuserve.migrate.compare.candidates import Candidate, CandidateSearch
from npuserve.migrate.compare.given import Given, given, precision_mode
from npuserve.migrate.compare.graph import LayerGraph
from npuserve.migrate.compare.latency import gear_latencies
from npuserve.migrate.compare.layerwise import LayerError, Layers, compare_dump, compare_layers
from npuserve.migrate.compare.limits import Limits, limits_of
from npuserve.migrate.compare.plot import errors_svg
from npuserve.migrate.compare.precision import Target, target_of
from npuserve.migrate.compare.programs import Programs
from npuserve.migrate.compare.reference import Reference
from npuserve.migrate.compare.single import SingleOperator, SingleOperators, first_bad
from npuserve.migrate.compare.stopwatch import Stopwatch
from npuserve.migrate.compare.whole import agreements
from npuserve.migrate.errors import MigrationError, SetupError

LAYER_INPUTS = "layer_inputs.npz"
# Of the batch that layers are compared on: rows, and elements of its largest input, as all tensors are held at once.
_ROWS, _ELEMENTS = 8, 256
# Jumps that are looked into one by one.
_MOST_JUMPS = 8


class CompareStage:
    """Compares the OM of S2 with the ONNX model that it was made from, on S1's samples."""

    folder = "S3_compare"
    title = "Compare with ONNX Runtime"

    def fingerprint(self, workspace: Workspace) -> str:
        """Return the settings, and which files a dump has; the rest comes from the stages before."""
        settings = workspace.settings
        dump = settings.compare.dump
        files = () if dump is None else sorted(path for path in dump.rglob("*") if path.is_file())
        stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        return repr((settings.compare, settings.compile, stamps))

    def run(self, workspace: Workspace, folder: Path, tell: Tell) -> Result:
        """Compare; raises MigrationError if a side cannot be run at all."""
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="npuserve_compare_") as scratch:
            comparison = _Comparison(workspace, folder, Path(scratch), tell)
            return comparison.result(started)


@dataclass(slots=True)
class _Findings:
    """What the layers told; empty if they could not be compared, for the reason `failure`."""

    layers: Layers | None = None
    bad: LayerError | None = None
    jumps: Sequence[LayerError] = ()
    single: list[SingleOperator] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class _Comparison:
    def __init__(self, workspace: Workspace, folder: Path, scratch: Path, tell: Tell) -> None:
        self._settings: Settings = workspace.settings
        self._given: Given = given(workspace)
        self._folder, self._scratch, self._tell = folder, scratch, tell
        self._final = workspace.work / CompareStage.folder
        self._samples = load_samples(self._given.samples)
        if not self._samples:
            raise MigrationError(f"{self._given.samples} holds no samples")
        self._limits: dict[str, Limits] = {}
        self._foreign = Stopwatch()
        self._programs = Programs(workspace.settings.compile, self._foreign)
        self._target: Target = target_of(precision_mode(self._settings.compile))

    def result(self, started: float) -> Result:
        self._tell(f"whole model, {len(self._samples)} samples and every gear")
        ran = self._programs.run_with_gears(self._given.om, self._samples)
        reference = Reference(self._given.model, self._foreign)
        expected = [reference.run(sample) for sample in self._samples]
        whole = agreements(ran.outputs, expected)
        self._limits = limits_of(self._settings.compare, precision_mode(self._settings.compile), expected)
        checks = [check for each in whole for check in each.checks(self._limits)]
        latencies = gear_latencies(ran.gears)
        self._write("latency.json", latencies)
        findings = _Findings()
        try:
            self._compare_layers(findings, passed=all(check.passed for check in checks))
        except SetupError:
            raise
        except MigrationError as error:
            # The gate is of the whole model; a graph that cannot give its layers is no reason to fail it.
            findings.failures.append(f"the comparison of layers ended early: {error}")
        return Result(
            checks=checks,
            artifacts=self._artifacts(),
            commands=[f"npuserve run {self._given.om} --inputs {self._given.samples} --outputs outputs.npz"],
            advice=advice(checks, findings.bad, findings.candidates, self._target),
            notes=[
                *limit_notes(self._limits.values()),
                *notes(findings.bad, findings.single, self._target),
                *findings.failures,
            ],
            figures={
                "outputs": [each.as_json() for each in whole],
                "limits": [each.as_json() for each in self._limits.values()],
                "latency": latencies,
                "worst_layers": self._worst(findings),
                "error_by_depth": self._by_depth(findings),
                "first_bad_layer": None if findings.bad is None else findings.bad.as_json(self._target),
                "single_operators": [each.as_json(self._target) for each in findings.single],
                "candidates": [each.as_json() for each in findings.candidates],
            },
            seconds=time.monotonic() - started,
            foreign_seconds=self._foreign.seconds,
        )

    def _compare_layers(self, findings: _Findings, *, passed: bool) -> None:
        graph = LayerGraph.load(self._given.model)
        batch = joined(self._samples, _ROWS, _ELEMENTS)
        target = self._target
        self._tell(f"{len(graph.layers)} layers")
        save_samples(self._folder / LAYER_INPUTS, [batch])
        if (dump := self._settings.compare.dump) is not None:
            layers = compare_dump(graph, batch, target, dump, self._foreign)
        else:
            layers = compare_layers(graph, batch, target, self._programs, self._scratch)
        findings.layers = layers
        if layers.left_out:
            findings.failures.append(f"{len(layers.left_out)} tensors of the dump are left out: {layers.left_out[0]}")
        findings.jumps = [each for each in layers.errors if each.jumps(target)]
        self._write("layers.json", [each.as_json(target) for each in layers.worst(len(layers.errors))])
        operators = SingleOperators(
            graph=graph,
            layers=layers,
            target=target,
            programs=self._programs,
            folder=self._scratch,
        )
        if findings.jumps:
            self._tell("single operators")
            findings.bad, findings.single = first_bad(findings.jumps[:_MOST_JUMPS], operators)
        elif layers.errors:
            # Nothing jumps: the worst layer alone shows that the rule did not look away.
            findings.single = [operators.run(layers.grown()[0])]
        self._write("single_operators.json", [each.as_json(target) for each in findings.single])
        (self._folder / "errors.svg").write_text(errors_svg(layers.errors, target, findings.bad))
        if passed or not target.lowers or precision_mode(self._settings.compile) == "int8":
            return
        if any(flag.startswith("--keep_dtype") for flag in self._settings.compile.extra):
            findings.failures.append("compile.extra has --keep_dtype: no other list of layers was looked for")
        else:
            findings.candidates = self._candidates(graph, batch, layers)
            self._write("candidates.json", [each.as_json() for each in findings.candidates])

    def _candidates(self, graph: LayerGraph, batch: dict[str, Any], layers: Layers) -> list[Candidate]:
        search = CandidateSearch(
            graph,
            batch,
            self._limits,
            self._programs,
            self._scratch,
            self._folder,
            self._final,
        )
        return search.run(layers, self._target.type, self._tell)

    def _worst(self, findings: _Findings) -> list[dict[str, Any]]:
        if findings.layers is None:
            return []
        worst = findings.layers.worst(self._settings.compare.worst_layers)
        return [each.as_json(self._target) for each in worst]

    def _by_depth(self, findings: _Findings) -> list[dict[str, Any]]:
        errors = () if findings.layers is None else findings.layers.errors
        return [
            {"depth": e.layer.depth, "name": e.layer.name, "kind": e.layer.kind, "relative": e.difference.relative}
            for e in errors
        ]

    def _artifacts(self) -> dict[str, str]:
        known = {
            LAYER_INPUTS: "the batch that layers are compared on",
            "layers.json": "errors of every layer, the worst first",
            "single_operators.json": "operators run alone with right inputs",
            "errors.svg": "error by depth",
            "latency.json": "latency of every gear",
            "candidates.json": "ways to keep more in float32, with their accuracy and latency",
            "mixlist.json": "mix list of the operators to keep in float32, for allow_mix_precision",
            "keep_dtype.txt": "the layers to keep in float32, for --keep_dtype",
        }
        return {name: text for name, text in known.items() if (self._folder / name).is_file()}

    def _write(self, name: str, content: object) -> None:
        (self._folder / name).write_text(json.dumps(content, indent=1) + "\n")
