"""How many entities a tagger finds: by its words' tags, `B-kind` and `I-kind`, strictly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

OUTSIDE = "O"
_BEGIN, _INSIDE = "B-", "I-"


@dataclass(frozen=True, slots=True)
class TaggedText:
    """What a text's words are. tags: one a word. positions: of each word's first token; None: it has none."""

    tags: Sequence[str]
    positions: Sequence[int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityScore:
    """Of a whole set. right: found whose kind, first and last word are those of a wanted one."""

    right: int
    found: int
    wanted: int

    @property
    def precision(self) -> float:
        """Of what was found, the share that is right; 0 of nothing."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Of what is there, the share that was found; 0 of nothing."""
        return self.right / self.wanted if self.wanted else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 0 if nothing is right."""
        return 2 * self.right / (self.found + self.wanted) if self.right else 0.0


def are_tags(labels: Sequence[str]) -> bool:
    """Return whether labels are tags of entities: `O`, and any others `B-kind` or `I-kind`."""
    kinds = [label for label in labels if label != OUTSIDE]
    return OUTSIDE in labels and bool(kinds) and all(label.startswith((_BEGIN, _INSIDE)) for label in kinds)


def entity_score(logits: Sequence[np.ndarray], texts: Sequence[TaggedText], labels: Sequence[str]) -> EntityScore:
    """Compare the answers, `[1, tokens, labels]` each, with the texts' tags. A word without a token is outside."""
    right = found = wanted = 0
    for answer, text in zip(logits, texts, strict=True):
        best = answer[0].argmax(-1)
        told = [OUTSIDE if position is None else labels[int(best[position])] for position in text.positions]
        got, there = set(spans(told)), set(spans(text.tags))
        right, found, wanted = right + len(got & there), found + len(got), wanted + len(there)
    return EntityScore(right=right, found=found, wanted=wanted)


def spans(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Yield kind, first word and the word behind the last of each entity; an `I-` that continues nothing is none."""
    kind, start = "", 0
    for place, tag in enumerate([*tags, OUTSIDE]):
        if kind and tag != _INSIDE + kind:
            yield kind, start, place
            kind = ""
        if tag.startswith(_BEGIN):
            kind, start = tag.removeprefix(_BEGIN), place
