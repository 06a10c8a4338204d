"""A sample of lengths, and the text formats that it is read from."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from npuserve.migrate.errors import PlanError


@dataclass(frozen=True, slots=True)
class LengthSample:
    """How many rows there are of each length.

    lengths: distinct, ascending, at least 1. rows: of each of them, at least 1. tokens: of all rows; less than the
    lengths say where these are upper bounds, as recorded ones are.
    """

    lengths: tuple[int, ...]
    rows: tuple[int, ...]
    tokens: int

    @property
    def total_rows(self) -> int:
        """All rows."""
        return sum(self.rows)

    def quantile(self, share: float) -> int:
        """Return the least length that so large a share of the rows does not exceed."""
        wanted, seen = share * self.total_rows, 0
        for length, rows in zip(self.lengths, self.rows, strict=True):
            seen += rows
            if seen >= wanted:
                return length
        return self.lengths[-1]


def counted(lengths: Iterable[int]) -> LengthSample:
    """Return the sample of single rows' lengths. Raises PlanError if there are none."""
    return from_counts(Counter(lengths))


def from_counts(counts: Counter[int], tokens: int | None = None) -> LengthSample:
    """Return the sample of so many rows of each length; `tokens` if the lengths are upper bounds. Raises PlanError."""
    kept = sorted((length, rows) for length, rows in counts.items() if rows)
    if not kept:
        raise PlanError("the sample is empty: at least one length is needed")
    exact = sum(length * rows for length, rows in kept)
    return LengthSample(
        tuple(length for length, _ in kept), tuple(rows for _, rows in kept), exact if tokens is None else tokens
    )


def read_lengths(lines: Iterable[str], source: str, longest: int | None = None) -> LengthSample:
    """Read one length a line: an integer, or a JSON object with the field `length`; blank lines do not count.

    longest: the model's, which none may exceed. Raises PlanError with `source` and the line's number.
    """
    return counted(_lengths(lines, source, longest))


def _lengths(lines: Iterable[str], source: str, longest: int | None) -> Iterator[int]:
    for number, line in enumerate(lines, start=1):
        if not (text := line.strip()):
            continue
        try:
            length = _length(text)
            check_length(length, longest)
        except PlanError as error:
            raise PlanError(f"{source}, line {number}: {error}") from error
        yield length


def check_length(length: int, longest: int | None) -> None:
    """Raise PlanError unless a row may have this length."""
    if length < 1:
        raise PlanError(f"the length {length} is not positive")
    if longest is not None and length > longest:
        raise PlanError(f"the length {length} is above --max-length {longest}")


def _length(text: str) -> int:
    if text.startswith("{"):
        return _json_length(text)
    # Not what int() takes beyond that: underscores, digits of other scripts, a plus.
    if not (text.removeprefix("-").isdecimal() and text.isascii()):
        raise PlanError(f"expected an integer or a JSON object with the field 'length', got '{_short(text)}'")
    return _integer(text)


def _integer(text: str) -> int:
    # Python refuses to read numbers of thousands of digits.
    if len(text) > 18:
        raise PlanError(f"the length {_short(text)} is no length of a row")
    return int(text)


def _json_length(text: str) -> int:
    try:
        fields = json.loads(text, parse_int=_integer)
    except ValueError as error:
        raise PlanError(f"expected an integer or a JSON object with the field 'length': {error}") from error
    length = fields.get("length")
    if not isinstance(length, int) or isinstance(length, bool):
        found = json.dumps(length) if "length" in fields else "none"
        raise PlanError(f"the field 'length' must be an integer, found {_short(found)}")
    return length


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
