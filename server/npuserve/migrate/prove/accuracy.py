"""How many labels an answer gets right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.prove.entities import EntityScore, entity_score
from npuserve.migrate.prove.labelled import LabelledSet


@dataclass(frozen=True, slots=True)
class Score:
    """Of a whole set. entities: None unless the labels are tags of entities."""

    correct: int
    total: int
    entities: EntityScore | None = None

    @property
    def accuracy(self) -> float:
        """0 to 1; NaN of nothing."""
        return self.correct / self.total if self.total else float("nan")


def score(answers: Sequence[Tensors], asked: LabelledSet) -> Score:
    """Count the right labels: the class with the largest logit. NaN is never right. Raises MigrationError."""
    correct = total = 0
    for answer, wanted in zip(answers, asked.targets, strict=True):
        if not wanted:
            continue
        logits = _logits(answer, per_token=wanted[0].position is not None)
        for target in wanted:
            row = logits[0] if target.position is None else logits[0, target.position]
            correct += int(row.argmax()) == target.label and row[target.label] == row[target.label]
            total += 1
    entities = None
    if asked.tagged:
        logits_of_all = [_logits(answer, per_token=True) for answer in answers]
        entities = entity_score(logits_of_all, asked.tagged, asked.labels)
    return Score(int(correct), total, entities)


def _logits(answer: Tensors, per_token: bool) -> np.ndarray:
    """Return the output that has classes: the one called logits, or else the first of the right rank."""
    rank = 3 if per_token else 2
    fitting = {name: array for name, array in answer.items() if array.ndim == rank and array.dtype.kind == "f"}
    if not fitting:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in answer.items())
        raise MigrationError(
            f"no output has the logits of a {'token' if per_token else 'text'} classifier: {shapes}",
            "set source.task to what the model does",
        )
    return fitting.get("logits", next(iter(fitting.values())))
