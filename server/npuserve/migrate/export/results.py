"""What the stage found, as the report draws it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.stage import Result
from npuserve.migrate.export.onnx_file import shapes_of
from npuserve.migrate.export.running import Agreement

ARTIFACTS = {
    "model.onnx": "the graph, for the compiler and ONNX Runtime",
    "baseline.npz": "inputs of the samples",
    "baseline_outputs.npz": "the model's answers to them before the migration",
    "calibration.npz": "inputs for quantization",
    "lengths.txt": "tokens of each row, for the plan of gears",
    "max_length.txt": "tokens that the model has positions for",
    "labels.txt": "labels in the order of the logits",
    "tokenizer.json": "the model's tokenizer",
    "dataset.jsonl": "the labelled set, as it was given",
    "export.log": "what PyTorch said",
    "migration.toml": "the settings of this stage, with which the command repeats it",
}
_SHOWN = 3


def finished(result: Result, folder: Path, figures: Mapping[str, Any], **more: Any) -> Result:
    """Return a result with the artifacts that are there and more figures."""
    there = {name: what for name, what in ARTIFACTS.items() if (folder / name).exists()}
    return replace(result, artifacts=there, figures={**result.figures, **figures}, **more)


def of_graph(model: Any, path: Path) -> dict[str, Any]:
    """Return what is told of a graph."""
    held = {each.name for each in model.graph.initializer}
    return {
        "inputs": dict(shapes_of([each for each in model.graph.input if each.name not in held])),
        "output_shapes": dict(shapes_of(model.graph.output)),
        "parameters": sum(_size(each.dims) for each in model.graph.initializer),
        "operators": len(model.graph.node),
        "onnx_bytes": path.stat().st_size,
    }


def outputs(found: Mapping[str, Agreement]) -> list[dict[str, Any]]:
    """Return the agreement of each output."""
    return [
        {"name": name, "cosine": each.cosine, "max_abs": each.max_abs_error, "mean_abs": each.mean_abs_error}
        for name, each in found.items()
    ]


def histogram(lengths: Sequence[int]) -> list[list[int]]:
    """Return how many rows there are of each length, ascending."""
    return [[length, rows] for length, rows in sorted(Counter(lengths).items())]


def rewrite_row(applied: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row on a rewrite; `left` only if there is something."""
    row = {
        "rewrite": applied["rewrite"],
        "count": len(applied["places"]),
        "where": _short(applied["places"]),
        "reason": applied["reason"],
    }
    return {**row, "left": _short(applied["left"])} if applied["left"] else row


def _short(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _size(dims: Sequence[int]) -> int:
    size = 1
    for each in dims:
        size *= each
    return size
