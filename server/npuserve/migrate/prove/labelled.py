"""The labelled set as requests, with the classes that are right."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.dataset import read_rows, spread
from npuserve.migrate.export.tokenizing import encode, load_tokenizer
from npuserve.migrate.prove.entities import TaggedText, are_tags

# Labels that say that a word does not count, in the data sets that people have.
_IGNORED = (None, -100)


@dataclass(frozen=True, slots=True)
class Target:
    """A class that is right. position: of the token; None: of the whole text."""

    position: int | None
    label: int


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """samples: the inputs of one text each, at its true length. targets: of each of them; none: nobody knows.

    tagged: the words of each, if labels are tags of entities. labels: in the order of the logits.
    """

    samples: Sequence[Tensors]
    targets: Sequence[Sequence[Target]]
    tagged: Sequence[TaggedText] = ()
    labels: Sequence[str] = ()


def read_labelled(dataset: Path, tokenizer: Path, labels: Sequence[str], max_length: int, most: int) -> LabelledSet:
    """Read and tokenize a set. most: texts, evenly chosen from all. Raises MigrationError with the line's number."""
    rows = list(zip(read_rows(dataset), _labels(dataset), strict=True))
    chosen = spread(rows, most)
    encodings = encode(load_tokenizer(tokenizer, max_length), [row for row, _ in chosen])
    numbers = {label: number for number, label in enumerate(labels)}
    given = [each for _, each in chosen]
    tagged = are_tags(labels) and all(isinstance(labels_of, list) for labels_of, _ in given)
    return LabelledSet(
        samples=[_inputs(encoding) for encoding in encodings],
        targets=[_targets(encoding, *each, numbers) for encoding, each in zip(encodings, given, strict=True)],
        tagged=[_tagged(encoding, each[0], labels) for encoding, each in zip(encodings, given, strict=True)]
        if tagged
        else (),
        labels=labels,
    )


def _labels(dataset: Path) -> list[tuple[Any, str]]:
    """Return what each line says is right, and where it stands; None everywhere if no line says anything."""
    found = []
    bare = ""
    for number, line in enumerate(dataset.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        place, fields = f"{dataset.name}, line {number}", json.loads(line)
        given = fields.get("labels", fields.get("label"))
        words = fields.get("words")
        if "label" not in fields and "labels" not in fields:
            bare = bare or place
        if isinstance(given, list) and (not isinstance(words, list) or len(words) != len(given)):
            raise MigrationError(f"{place}: `labels` must be as many as `words`")
        found.append((given, place))
    if bare and any(given is not None for given, _ in found):
        raise MigrationError(
            f"{bare}: there is no `label` of the text, nor `labels` of its words, which other lines have"
        )
    return found


def _inputs(encoding: Any) -> Tensors:
    """Return all that a tokenizer can say, by the names of encoders' inputs: a service takes what it wants."""
    ids, mask, types = (
        np.array([each], np.int64) for each in (encoding.ids, encoding.attention_mask, encoding.type_ids)
    )
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "input_mask": mask,
        "token_type_ids": types,
        "segment_ids": types,
        "position_ids": np.arange(ids.shape[1], dtype=np.int64)[np.newaxis],
    }


def _targets(encoding: Any, given: Any, place: str, numbers: Mapping[str, int]) -> list[Target]:
    """Return the classes of a text, or of the first tokens of its words: words that were cut off have none."""
    if not isinstance(given, list):
        return [] if given in _IGNORED else [Target(None, _class(given, numbers, place))]
    return [
        Target(position, _class(given[word], numbers, place))
        for word, position in _starts(encoding).items()
        if given[word] not in _IGNORED
    ]


def _tagged(encoding: Any, given: Sequence[Any], labels: Sequence[str]) -> TaggedText:
    """Return the tags of a text's words, also of those that were cut off: entities there are not found."""
    starts = _starts(encoding)
    counted = [word for word, label in enumerate(given) if label not in _IGNORED]
    return TaggedText(
        tags=[given[word] if isinstance(given[word], str) else labels[given[word]] for word in counted],
        positions=[starts.get(word) for word in counted],
    )


def _starts(encoding: Any) -> dict[int, int]:
    """Return the position of each word's first token."""
    starts: dict[int, int] = {}
    for position, word in enumerate(encoding.word_ids):
        if word is not None:
            starts.setdefault(word, position)
    return starts


def _class(label: Any, numbers: Mapping[str, int], place: str) -> int:
    if isinstance(label, str) and label in numbers:
        return numbers[label]
    if isinstance(label, int) and not isinstance(label, bool) and (0 <= label < len(numbers) or not numbers):
        return label
    raise MigrationError(
        f"{place}: the label {label!r} is none of the model's: {', '.join(numbers) or 'numbers from 0'}",
        "name the labels in the order of the logits as source.labels",
    )
