"""ONNX Runtime's answers, and how far two sets of answers agree."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.packages import imported

# As ONNX Runtime says it.
_UNKNOWN = re.compile(r"([\w.\-]+):(\w+)\(-?\d+\) is not a registered function/op")


def run_onnx(model: Any, samples: Sequence[Tensors], optimized: bool = True) -> list[dict[str, Any]]:
    """Return the answers to all samples, by the outputs' names. Raises MigrationError."""
    runtime = imported("onnxruntime")
    options = runtime.SessionOptions()
    # Errors alone: each is raised, too.
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the package's own kinds
        raise _refusal(error) from error
    names = [each.name for each in session.get_outputs()]
    answers = []
    for sample in samples:
        try:
            outputs = session.run(names, dict(sample))
        except Exception as error:  # the package's own kinds
            given = ", ".join(f"{name} {value.dtype}{list(value.shape)}" for name, value in sample.items())
            wanted = ", ".join(f"{each.name} {each.type} {each.shape}" for each in session.get_inputs())
            raise MigrationError(
                f"the example inputs do not fit: given {given}, the graph takes {wanted}: {_first_line(error)}",
                "give source.inputs with an array for each of the graph's inputs",
            ) from error
        answers.append(dict(zip(names, outputs, strict=True)))
    return answers


def _refusal(error: Exception) -> MigrationError:
    """Return what ONNX Runtime says of a graph that it does not load; of an operator that it lacks, in plain words."""
    if unknown := _UNKNOWN.search(str(error)):
        domain, operator = unknown.groups()
        return MigrationError(
            f"the graph has an operator that ONNX Runtime does not know, {domain}::{operator}: there is nothing to "
            "compare the compiled model with",
            "export the model with standard operators in its place",
        )
    return MigrationError(f"ONNX Runtime refuses the graph: {_first_line(error)}")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two sets of answers: the worst sample's cosine, the largest and the mean absolute error; NaN if one is NaN."""

    cosine: float
    max_abs_error: float
    mean_abs_error: float


def agreement(answers: Sequence[Tensors], expected: Sequence[Tensors]) -> dict[str, Agreement]:
    """Compare answers to the same samples, output by output. Raises MigrationError if names or shapes differ."""
    return {name: _agreement(name, answers, expected) for name in expected[0]}


def worst(found: Mapping[str, Agreement]) -> Agreement:
    """Return the least cosine and the largest errors of all outputs; NaN if one is NaN."""
    every = list(found.values())
    # Unlike Python's min, numpy's keeps a NaN wherever it stands.
    return Agreement(
        float(np.min([each.cosine for each in every])),
        float(np.max([each.max_abs_error for each in every])),
        float(np.max([each.mean_abs_error for each in every])),
    )


def _agreement(name: str, answers: Sequence[Tensors], expected: Sequence[Tensors]) -> Agreement:
    cosines, errors = [], []
    for got, wanted in zip(answers, expected, strict=True):
        value = wanted[name]
        if name not in got or got[name].shape != value.shape:
            shape = list(got[name].shape) if name in got else "missing"
            raise MigrationError(f"the output '{name}' is {shape}, and was {list(value.shape)} before the export")
        cosines.append(cosine(got[name], value))
        errors.append(np.abs(got[name].astype(np.float64) - value.astype(np.float64)).reshape(-1))
    every = np.concatenate(errors)
    return Agreement(float(np.min(cosines)), float(every.max()), float(every.mean()))


def cosine(one: Any, other: Any) -> float:
    """Return the cosine of two tensors taken as vectors; 1 for two that are zero, 0 for one."""
    a, b = one.astype(np.float64).reshape(-1), other.astype(np.float64).reshape(-1)
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norms == 0.0:
        return 1.0 if not a.any() and not b.any() else 0.0
    return float(a @ b / norms)


def padded_rows(samples: Sequence[Tensors], count: int) -> Mapping[str, Any] | None:
    """Return one batch of the samples, padded with 0 as their mask leaves room; None if they have no mask.

    The longest and the shortest are in it, so that some rows are padded if any can be.
    """
    if len(samples) < 2 or "attention_mask" not in samples[0]:
        return None
    chosen = _spread_by_length(samples, count)
    longest = max(each["attention_mask"].shape[1] for each in chosen)
    return {
        name: np.concatenate([np.pad(each[name], ((0, 0), (0, longest - each[name].shape[1]))) for each in chosen])
        for name in chosen[0]
    }


def cut_rows(answer: Tensors, samples: Sequence[Tensors], count: int) -> list[dict[str, Any]]:
    """Return the answers of `padded_rows`' batch by row, each as long as its sample."""
    chosen = _spread_by_length(samples, count)
    longest = max(each["attention_mask"].shape[1] for each in chosen)
    rows = []
    for row, sample in enumerate(chosen):
        length = sample["attention_mask"].shape[1]
        own = {name: value[row : row + 1] for name, value in answer.items()}
        follows = {name for name, value in own.items() if value.ndim == 3 and value.shape[1] == longest}
        rows.append({name: value[:, :length] if name in follows else value for name, value in own.items()})
    return rows


def batch_members(samples: Sequence[Tensors], answers: Sequence[Tensors], count: int) -> list[Tensors]:
    """Return the answers of the samples that `padded_rows` chose, in its order."""
    by_sample = {id(sample): answer for sample, answer in zip(samples, answers, strict=True)}
    return [by_sample[id(sample)] for sample in _spread_by_length(samples, count)]


def _spread_by_length(samples: Sequence[Tensors], count: int) -> list[Tensors]:
    ordered = sorted(samples, key=lambda sample: int(sample["attention_mask"].shape[1]))
    count = min(count, len(ordered))
    return [ordered[round(index * (len(ordered) - 1) / max(count - 1, 1))] for index in range(count)]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
