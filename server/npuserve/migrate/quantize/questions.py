"""What every precision is asked, and how well it answers: the labelled set, or the export's samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.tensors import Tensors, load_samples
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.inputs import fit_to_graph
from npuserve.migrate.prove.accuracy import score
from npuserve.migrate.prove.labelled import LabelledSet, read_labelled
from npuserve.migrate.serve.agreement import Agreement, agreement

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]
Answers = Sequence[Mapping[str, Array]]
Run = Callable[[Sequence[Tensors]], Answers]
"""Answers batches of rows, each with the batch axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """accuracy, f1: 0 to 1; None: nobody knows the labels, or they are no tags of entities.

    agreement: the share of positions with the class that float32 gives; 1 if there are no classes. cosine: of all
    outputs together with float32's. positions: that have a class; 0 if there are none.
    """

    accuracy: float | None
    f1: float | None
    agreement: float
    cosine: float
    positions: int = 0

    def drop(self, of: Grade) -> float:
        """Return by how many points this is worse: by labels, else by classes that differ, else by the cosine."""
        if self.accuracy is not None and of.accuracy is not None:
            drops = [of.accuracy - self.accuracy]
            if self.f1 is not None and of.f1 is not None:
                drops.append(of.f1 - self.f1)
            return _points(max(drops))
        return _points(1 - (self.agreement if self.positions else self.cosine))

    def drop_at_worst(self, of: Grade) -> float:
        """Return the drop and two standard errors of it: what equally coarse roundings in other places may give.

        A class that changes may become right as well as wrong: few that change say more than a small drop does. Of the
        entities' F1 the error is not known, and none is added.
        """
        drop = self.drop(of)
        if self.accuracy is None or of.accuracy is None or not self.positions:
            return drop
        error = float(np.sqrt((1 - self.agreement) / self.positions))
        return max(drop, _points(of.accuracy - self.accuracy + 2 * error))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON, without what is not known."""
        found: dict[str, Any] = {}
        if self.accuracy is not None:
            found["accuracy"] = self.accuracy
        if self.f1 is not None:
            found["f1"] = self.f1
        return {**found, "agreement": self.agreement, "cosine": self.cosine}


class Questions:
    """samples: of one row each, at their own lengths. labelled: None if nobody knows the right answers."""

    def __init__(self, samples: Sequence[Tensors], labelled: LabelledSet | None) -> None:
        self.samples = samples
        self._labelled = labelled

    @property
    def what(self) -> str:
        """What is asked, in words."""
        rows = len(self.samples)
        return f"{rows} rows of the labelled set" if self._labelled is not None else f"{rows} samples of the export"

    def ask(self, run: Run, rows: int) -> list[dict[str, Array]]:
        """Return the answer to each sample. rows: of equal shapes that are asked at once, at most."""
        batches = list(_batches(self.samples, rows))
        answers: list[dict[str, Array]] = [{}] * len(self.samples)
        joined = [
            {name: np.concatenate([self.samples[place][name] for place in batch]) for name in self.samples[batch[0]]}
            for batch in batches
        ]
        for batch, answer in zip(batches, run(joined), strict=True):
            for row, place in enumerate(batch):
                single = len(batch) == 1
                answers[place] = {name: value if single else value[row : row + 1] for name, value in answer.items()}
        return answers

    def grade(self, answers: Answers, reference: Answers) -> Grade:
        """Return how good answers are. reference: float32's; outputs stand in its order."""
        named = [_named(*pair) for pair in zip(answers, reference, strict=True)]
        agreed = sum((agreement(*pair) for pair in zip(named, reference, strict=True)), Agreement())
        accuracy = f1 = None
        if self._labelled is not None:
            found = score(named, self._labelled)
            accuracy = found.accuracy
            f1 = found.entities.f1 if found.entities is not None else None
        return Grade(
            accuracy=accuracy,
            f1=f1,
            agreement=agreed.argmax,
            cosine=_cosine(named, reference),
            positions=agreed.positions,
        )


def read_questions(settings: Settings, exported: Path, model: onnx.ModelProto, longest: int) -> Questions:
    """Return the labelled set of the export, or its samples where there is none. longest: of tokens.

    Raises MigrationError.
    """
    dataset, tokenizer = exported / "dataset.jsonl", exported / "tokenizer.json"
    if dataset.exists() and tokenizer.exists():
        labels = exported / "labels.txt"
        names = labels.read_text(encoding="utf-8").splitlines() if labels.exists() else []
        found = read_labelled(dataset, tokenizer, names, longest, settings.quantize.max_rows)
        if any(found.targets):
            return Questions(fit_to_graph(found.samples, model), found)
    samples = load_samples(exported / "baseline.npz")
    if not samples:
        raise MigrationError(f"{exported / 'baseline.npz'} holds no samples", "run the export again")
    return Questions(fit_to_graph(samples, model), None)


def _points(share: float) -> float:
    """Return points without the last bits of a difference, which would put an equal drop above its limit."""
    return round(100 * share, 6)


def _batches(samples: Sequence[Tensors], rows: int) -> list[list[int]]:
    """Return places of samples of equal shapes together; samples that are not of one row stand alone."""
    alike: dict[Any, list[int]] = {}
    for place, sample in enumerate(samples):
        shapes = tuple(array.shape for array in sample.values())
        single = all(shape and shape[0] == 1 for shape in shapes)
        alike.setdefault(shapes if single else place, []).append(place)
    return [group[start : start + rows] for group in alike.values() for start in range(0, len(group), rows)]


def _named(answer: Mapping[str, Array], reference: Mapping[str, Array]) -> dict[str, Array]:
    """Return the answer under the reference's names, cut to its shapes, as gears are larger than rows."""
    if len(answer) != len(reference):
        raise MigrationError(f"the OM has {len(answer)} outputs, and the graph {len(reference)}")
    return {
        name: value[tuple(slice(size) for size in wanted.shape)]
        for (name, wanted), value in zip(reference.items(), answer.values(), strict=True)
    }


def _cosine(answers: Answers, reference: Answers) -> float:
    dot = mine = right = 0.0
    for answer, wanted in zip(answers, reference, strict=True):
        for name, value in wanted.items():
            if value.dtype.kind == "f":
                a, b = answer[name].astype(np.float64).ravel(), value.astype(np.float64).ravel()
                dot, mine, right = dot + float(a @ b), mine + float(a @ a), right + float(b @ b)
    return dot / float(np.sqrt(mine * right)) if mine and right else float(mine == right)
