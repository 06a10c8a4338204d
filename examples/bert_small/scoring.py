"""Scores of the two tasks: accuracy and macro-F1 of labels, strict span F1 of entities; logits to probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Span:
    """An entity: words `start` to `end` (exclusive) and its kind."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class F1:
    """Precision, recall and their harmonic mean, each 0 where undefined."""

    precision: float
    recall: float
    f1: float


def accuracy(expected: Sequence[str], predicted: Sequence[str]) -> float:
    """Return the share of equal labels."""
    return sum(a == b for a, b in zip(expected, predicted, strict=True)) / len(expected)


def macro_f1(expected: Sequence[str], predicted: Sequence[str]) -> float:
    """Return the unweighted mean over the expected labels' F1."""
    labels = sorted(set(expected))
    pairs = list(zip(expected, predicted, strict=True))
    scores = [
        f1(
            correct=sum(a == b == label for a, b in pairs),
            expected=sum(a == label for a, _ in pairs),
            predicted=sum(b == label for _, b in pairs),
        ).f1
        for label in labels
    ]
    return sum(scores) / len(scores)


def spans(tags: Sequence[str]) -> list[Span]:
    """Return the entities of IOB2 tags, strictly: an `I-x` that no `B-x` or `I-x` precedes belongs to none."""
    found: list[Span] = []
    kind, start = "", 0
    for index, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            found.append(Span(kind, start, index))
            kind = ""
        if tag.startswith("B-"):
            kind, start = tag[2:], index
    return found


def entity_f1(expected: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> F1:
    """Return micro-averaged F1 over entities: right are those whose kind, start and end all agree."""
    wanted = {(row, span) for row, tags in enumerate(expected) for span in spans(tags)}
    got = {(row, span) for row, tags in enumerate(predicted) for span in spans(tags)}
    return f1(correct=len(wanted & got), expected=len(wanted), predicted=len(got))


def f1(*, correct: int, expected: int, predicted: int) -> F1:
    """Return precision, recall and F1 of counts."""
    precision = correct / predicted if predicted else 0.0
    recall = correct / expected if expected else 0.0
    both = precision + recall
    return F1(precision, recall, 2 * precision * recall / both if both else 0.0)


def softmax(logits: Logits) -> Logits:
    """Return probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    share: Logits = shifted / shifted.sum(-1, keepdims=True)
    return share
