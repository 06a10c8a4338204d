"""The stage: inputs, baseline, graph, rewrites, and whether the graph answers as the model did."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.stage import Result, Tell, Workspace
from npuserve.migrate.chain.tensors import Tensors, load_samples, save_samples
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export import results
from npuserve.migrate.export.checkpoint import read_config
from npuserve.migrate.export.comparison import advice, compare
from npuserve.migrate.export.foreign import ForeignTime
from npuserve.migrate.export.inputs import Inputs, TextModel, fit_to_graph, gather
from npuserve.migrate.export.job import Job
from npuserve.migrate.export.onnx_file import check_onnx, fixed_axis, name_axes, read_onnx, text_inputs
from npuserve.migrate.export.packages import imported
from npuserve.migrate.export.running import run_onnx, worst
from npuserve.migrate.export.torch_process import GRAPH, LOG, run_job
from npuserve.migrate.export.used_settings import FILE, repeat_command, used_settings

PACKAGES = ("onnx", "onnxruntime", "onnxscript", "torch", "transformers", "tokenizers")


@dataclass(slots=True)
class _Work:
    """One run, and what it has found so far."""

    workspace: Workspace
    folder: Path
    tell: Tell
    foreign: ForeignTime = field(default_factory=ForeignTime)
    notes: list[str] = field(default_factory=list)
    rewrites: list[dict[str, Any]] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)


class ExportStage:
    """S1."""

    folder = "S1_export"
    title = "export to ONNX"

    def fingerprint(self, workspace: Workspace) -> str:
        """Return a digest of the settings, of the files that are read, and of the packages' versions."""
        source, options = workspace.settings.source, workspace.settings.export
        digest = hashlib.sha256(repr((source, options)).encode())
        for path in _read_files(source.checkpoint, source.onnx, source.tokenizer, source.dataset, source.inputs):
            digest.update(_stamp(path))
        for folder in source.python_path:
            for path in sorted(folder.glob("*.py")):
                digest.update(_stamp(path))
        digest.update(repr(_versions()).encode())
        return digest.hexdigest()

    def run(self, workspace: Workspace, folder: Path, tell: Tell) -> Result:
        """Fill the folder. Raises MigrationError."""
        started = time.monotonic()
        work = _Work(workspace, folder, tell)
        with work.foreign.spent():
            for package in ("onnx", "onnxruntime"):
                imported(package)
        export = _export_given if workspace.settings.source.onnx else _export_torch
        inputs, expected, model = export(work)
        _write_texts(work, inputs, expected)
        before = _rewrite(work, model)
        with work.foreign.spent():
            check_onnx(model, "the rewritten graph")
            (folder / GRAPH).write_bytes(model.SerializeToString())
        result = _compare(work, model, inputs.samples, expected, before)
        (folder / FILE).write_text(used_settings(workspace.settings), encoding="utf-8")
        return results.finished(
            result,
            folder,
            commands=[repeat_command((workspace.work / self.folder).absolute())],
            figures={
                **work.figures,
                **results.of_graph(model, folder / GRAPH),
                "samples": len(inputs.samples),
                "lengths": results.histogram(inputs.lengths),
                "rewrites": work.rewrites,
                "versions": _versions(),
            },
            notes=(*inputs.notes, *work.notes),
            seconds=time.monotonic() - started,
            foreign_seconds=work.foreign.seconds,
        )


def _export_torch(work: _Work) -> tuple[Inputs, list[Tensors], Any]:
    source, options = work.workspace.settings.source, work.workspace.settings.export
    text, work.labels = None, source.labels
    if source.checkpoint is not None:
        config = read_config(source.checkpoint, source.task)
        text = TextModel(
            names=("input_ids", "attention_mask"), vocabulary=config.vocabulary, max_length=config.max_length
        )
        work.labels = source.labels or config.labels
    work.tell("reading the inputs")
    with work.foreign.spent():
        inputs = gather(source, options, work.folder, text)
    save_samples(work.folder / "baseline.npz", inputs.samples)
    job = Job(
        samples=work.folder / "baseline.npz",
        answers=work.folder / "baseline_outputs.npz",
        checkpoint=source.checkpoint,
        module=source.module,
        python_path=source.python_path,
        task=source.task,
        opset=options.opset,
    )
    work.tell("starting PyTorch")
    with work.foreign.spent():
        outcome = run_job(job, work.folder / GRAPH, work.folder / LOG, work.tell)
        model = read_onnx(work.folder / GRAPH)
    name_axes(model)
    work.rewrites += [results.rewrite_row(each) for each in outcome.applied]
    work.notes += outcome.notes
    work.figures["baseline_seconds"] = outcome.baseline_seconds
    return inputs, [*load_samples(job.answers)], model


def _export_given(work: _Work) -> tuple[Inputs, list[Tensors], Any]:
    """Take the graph as it is for its own baseline, in ONNX Runtime without optimizations."""
    source, options = work.workspace.settings.source, work.workspace.settings.export
    assert source.onnx is not None
    work.labels = source.labels
    work.tell("reading the graph")
    with work.foreign.spent():
        model = read_onnx(source.onnx)
    text = None
    if (known := text_inputs(model)) is not None:
        text = TextModel(names=known[0], vocabulary=known[1], max_length=fixed_axis(model, "input_ids", 1))
    with work.foreign.spent():
        inputs = gather(source, options, work.folder, text)
    inputs.samples = fit_to_graph(inputs.samples, model)
    inputs.calibration = fit_to_graph(inputs.calibration, model)
    work.tell("baseline")
    with work.foreign.spent():
        expected: list[Tensors] = [*run_onnx(model, inputs.samples, optimized=False)]
    save_samples(work.folder / "baseline.npz", inputs.samples)
    save_samples(work.folder / "baseline_outputs.npz", expected)
    if fixed := [name for name in inputs.samples[0] if fixed_axis(model, name, 0) is not None]:
        work.notes.append(f"the given graph takes batches of one size only, by its input '{fixed[0]}'")
    work.notes.append("the baseline is the given graph in ONNX Runtime, with its optimizations off")
    return inputs, expected, model


def _write_texts(work: _Work, inputs: Inputs, expected: Sequence[Tensors]) -> None:
    save_samples(work.folder / "calibration.npz", inputs.calibration)
    if inputs.lengths:
        (work.folder / "lengths.txt").write_text("".join(f"{length}\n" for length in inputs.lengths))
    if not work.labels:
        return
    first = next(iter(expected[0].values()))
    if first.ndim and first.shape[-1] != len(work.labels):
        raise MigrationError(
            f"there are {len(work.labels)} labels, and the model gives {first.shape[-1]} logits",
            "list source.labels in the order of the logits, one each",
        )
    (work.folder / "labels.txt").write_text("".join(f"{label}\n" for label in work.labels))


def _rewrite(work: _Work, model: Any) -> bytes:
    """Rewrite the graph in place; return what it was."""
    from npuserve.migrate.export.rewrites.registry import rewrite
    from npuserve.migrate.export.rewrites.rewrite import Target

    options = work.workspace.settings.export
    before: bytes = model.SerializeToString()
    work.tell("rewriting")
    applied = rewrite(model, Target(options.opset, frozenset(options.decompose)), options.skip_rewrites)
    work.rewrites += [results.rewrite_row(each.plain()) for each in applied]
    return before


def _compare(work: _Work, model: Any, samples: Sequence[Tensors], expected: Sequence[Tensors], before: bytes) -> Result:
    limit = work.workspace.settings.export.min_cosine
    baseline = "the given graph" if work.workspace.settings.source.onnx else "PyTorch"
    work.tell("comparing")
    with work.foreign.spent():
        found = compare(model, samples, expected, baseline, limit)
    total = worst(found.outputs)
    work.notes.append(f"max abs error {total.max_abs_error:.2e}, mean {total.mean_abs_error:.2e}")
    advised: tuple[str, ...] = ()
    if not found.passed:
        with work.foreign.spent():
            unchanged = compare(imported("onnx").load_from_string(before), samples, expected, baseline, limit)
        advised = advice(found, unchanged, [each["rewrite"] for each in work.rewrites])
    return Result(checks=found.checks, advice=advised, figures={"outputs": results.outputs(found.outputs)})


def _versions() -> Mapping[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _read_files(*paths: Path | None) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path is not None and path.is_dir():
            files += sorted(each for each in path.iterdir() if each.is_file())
        elif path is not None and path.is_file():
            files.append(path)
    return files


def _stamp(path: Path) -> bytes:
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}".encode()
