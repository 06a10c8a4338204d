"""The stage: inputs, baseline, graph, rewrites, and whether the graph answers as the model did."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.gates import Check
from npuserve.migrate.chain.stage import Result, Tell, Workspace
from npuserve.migrate.chain.tensors import Tensors, load_samples, save_samples
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export import results
from npuserve.migrate.export.checkpoint import read_config
from npuserve.migrate.export.foreign import ForeignTime
from npuserve.migrate.export.inputs import Inputs, TextModel, fit_to_graph, gather
from npuserve.migrate.export.job import Job
from npuserve.migrate.export.onnx_file import check_onnx, name_axes, read_onnx, text_inputs
from npuserve.migrate.export.packages import imported
from npuserve.migrate.export.running import agreement, batch_members, cut_rows, padded_rows, run_onnx, worst
from npuserve.migrate.export.torch_process import GRAPH, LOG, run_job

PACKAGES = ("onnx", "onnxruntime", "onnxscript", "torch", "transformers", "tokenizers")

# Rows of the one batch that is compared with single rows.
_BATCH = 4


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
        answers_before = _rewrite(work, model, inputs)
        with work.foreign.spent():
            check_onnx(model, "the rewritten graph")
            (folder / GRAPH).write_bytes(model.SerializeToString())
        result = _compare(work, model, inputs.samples, expected, answers_before)
        return results.finished(
            result,
            folder,
            figures={
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
        text = TextModel(names=known[0], vocabulary=known[1])
    with work.foreign.spent():
        inputs = gather(source, options, work.folder, text)
    inputs.samples = fit_to_graph(inputs.samples, model)
    inputs.calibration = fit_to_graph(inputs.calibration, model)
    work.tell("baseline")
    with work.foreign.spent():
        expected: list[Tensors] = [*run_onnx(model, inputs.samples, optimized=False)]
    save_samples(work.folder / "baseline.npz", inputs.samples)
    save_samples(work.folder / "baseline_outputs.npz", expected)
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


def _rewrite(work: _Work, model: Any, inputs: Inputs) -> Callable[[], list[Tensors]]:
    """Rewrite the graph in place; return what runs it as it was, should its answers be needed."""
    from npuserve.migrate.export.rewrites.registry import rewrite
    from npuserve.migrate.export.rewrites.rewrite import Target

    options = work.workspace.settings.export
    before = model.SerializeToString()
    work.tell("rewriting")
    applied = rewrite(model, Target(options.opset, frozenset(options.decompose)), options.skip_rewrites)
    work.rewrites += [results.rewrite_row(each.plain()) for each in applied]

    def run_before() -> list[Tensors]:
        return [*run_onnx(imported("onnx").load_from_string(before), inputs.samples)]

    return run_before


def _compare(
    work: _Work,
    model: Any,
    samples: Sequence[Tensors],
    expected: Sequence[Tensors],
    answers_before: Callable[[], list[Tensors]],
) -> Result:
    limit = work.workspace.settings.export.min_cosine
    baseline = "the given graph" if work.workspace.settings.source.onnx else "PyTorch"
    work.tell("comparing")
    with work.foreign.spent():
        answers = run_onnx(model, samples)
        batch = padded_rows(samples, _BATCH)
        joined = run_onnx(model, [batch])[0] if batch is not None else None
    found = agreement(answers, expected)
    total = worst(found)
    checks = [
        Check(
            name=f"cosine of the answers, ONNX Runtime against {baseline}, worst of {len(samples)} samples",
            value=total.cosine,
            sense="above",
            limit=limit,
        )
    ]
    if joined is not None:
        rows = cut_rows(joined, samples, _BATCH)
        padded = worst(agreement(rows, batch_members(samples, expected, _BATCH)))
        checks.append(
            Check(
                name=f"cosine of a padded batch of {len(rows)} against {baseline}'s single answers",
                value=padded.cosine,
                sense="above",
                limit=limit,
            )
        )
    work.notes.append(f"max abs error {total.max_abs_error:.2e}, mean {total.mean_abs_error:.2e}")
    advice: tuple[str, ...] = ()
    if not all(each.passed for each in checks):
        with work.foreign.spent():
            advice = _advice(work, worst(agreement(answers_before(), expected)).cosine > limit, checks)
    return Result(checks=checks, advice=advice, figures={"outputs": results.outputs(found)})


def _advice(work: _Work, right_before: bool, checks: Sequence[Check]) -> tuple[str, ...]:
    names = ", ".join(each["rewrite"] for each in work.rewrites)
    if checks[0].passed:
        return ("the model answers a padded row unlike the row alone: make it heed attention_mask, or batch no rows",)
    if right_before and names:
        return (f"before the rewrites the graph was right: leave one out by export.skip_rewrites (done: {names})",)
    return (
        "the graph differs from the model already as it was traced: look for decisions on values of tensors in forward",
        "try another export.opset",
    )


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
