"""The labelled set, as JSON lines: `text` or `words`, and `label` or `labels`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from npuserve.migrate.errors import MigrationError

Text = str | list[str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One line. text: a sentence, or its words. pair: a second sentence, or None."""

    text: Text
    pair: str | None = None


def read_rows(path: Path) -> list[Row]:
    """Read the set. Raises MigrationError with the line's number."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MigrationError(f"source.dataset: cannot read {path}: {error}") from error
    rows = [_row(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise MigrationError(f"source.dataset: {path} has no lines")
    return rows


def spread(rows: Sequence[T], count: int, offset: float = 0.0) -> list[T]:
    """Return up to so many rows, evenly from all of them, as sets are often sorted. offset: in steps, 0 to 1."""
    count = min(count, len(rows))
    return [rows[int((index + offset) * len(rows) / count)] for index in range(count)]


def _row(line: str, place: str) -> Row:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise MigrationError(f"{place}: this is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise MigrationError(f"{place}: expected a JSON object with `text` or `words`, got {type(fields).__name__}")
    text: Any = fields.get("words", fields.get("text"))
    words = isinstance(text, list) and text and all(isinstance(word, str) for word in text)
    if not words and not isinstance(text, str):
        raise MigrationError(f"{place}: expected `text`, a string, or `words`, a list of them")
    pair = fields.get("text_pair")
    if pair is not None and not isinstance(pair, str):
        raise MigrationError(f"{place}: `text_pair` must be a string")
    return Row(text, pair)
