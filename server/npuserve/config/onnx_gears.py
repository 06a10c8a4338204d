"""The shapes that an ONNX model is to run, as its parameter `gears` gives them or as they are without it.

`1,2,4,8 x 16,32,64` and `1-32 x 16,32`: rows, and lengths where inputs have one that varies; a list of numbers and of
ranges each.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.parameters import text_of, wrong

GEARS = "gears"
"""The parameter's name."""

_MOST_GEARS = 8192
"""Each instance holds tensors of all of them: some kilobytes for a gear."""
_EXAMPLE = "'1,2,4,8 x 16,32,64' or '1-32 x 16,32,64'"
_EVERY_ROW_UP_TO = 32
_ROW_STEP = 8


@dataclass(frozen=True, slots=True)
class OnnxGears:
    """Rows and lengths, ascending: every pair is a gear. No lengths: none varies."""

    rows: tuple[int, ...]
    lengths: tuple[int, ...]


def onnx_gears(config: ModelConfig) -> OnnxGears | None:
    """Read the parameter; None without it. Raises ServeError: INVALID_ARGUMENT if it is no such list."""
    if GEARS not in config.parameters:
        return None
    rows_text, cross, lengths_text = text_of(config, GEARS).partition("x")
    rows = _numbers(config, rows_text, "rows")
    lengths = _numbers(config, lengths_text, "lengths") if cross else ()
    if len(rows) * max(1, len(lengths)) > _MOST_GEARS:
        raise _refused(config, f"of {len(rows)} x {len(lengths)} pairs has more than the {_MOST_GEARS} that may be")
    if rows[-1] < config.max_batch_size:
        raise _refused(
            config,
            f"has at most {rows[-1]} rows, but max_batch_size is {config.max_batch_size}: "
            f"add {config.max_batch_size} rows, or lower max_batch_size",
        )
    return OnnxGears(rows, lengths)


def default_lengths() -> tuple[int, ...]:
    """Return the lengths of texts: close together where texts are many and runs are short."""
    return (*range(8, 129, 8), *range(160, 513, 32))


def default_rows(max_batch_size: int, *, has_lengths: bool) -> tuple[int, ...]:
    """Return 1 to max_batch_size; with lengths, where pairs multiply, only every eighth beyond 32."""
    if not has_lengths and max_batch_size <= _MOST_GEARS:
        return tuple(range(1, max_batch_size + 1))
    dense = range(1, min(max_batch_size, _EVERY_ROW_UP_TO) + 1)
    return (*dense, *range(_EVERY_ROW_UP_TO + _ROW_STEP, max_batch_size, _ROW_STEP), *_last(dense[-1], max_batch_size))


def _last(dense: int, max_batch_size: int) -> tuple[int, ...]:
    return (max_batch_size,) if max_batch_size > dense else ()


def _numbers(config: ModelConfig, text: str, what: str) -> tuple[int, ...]:
    numbers: set[int] = set()
    for part in text.split(","):
        numbers.update(_range(config, part.strip(), what))
        if len(numbers) > _MOST_GEARS:
            raise _refused(config, f"has more than {_MOST_GEARS} {what}")
    return tuple(sorted(numbers))


def _range(config: ModelConfig, part: str, what: str) -> Iterator[int]:
    """Yield what `7` or `3-7` names."""
    first, _, last = part.partition("-")
    low, high = _count(config, first, part, what), _count(config, last, part, what) if "-" in part else None
    if high is not None and high < low:
        raise _refused(config, f"has the {what} '{part}', whose end is before its start")
    if high is not None and high - low >= _MOST_GEARS:
        raise _refused(config, f"has more than {_MOST_GEARS} {what}")
    yield from range(low, (low if high is None else high) + 1)


def _count(config: ModelConfig, text: str, part: str, what: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9 and int(digits) > 0):
        raise _refused(config, f"must list {what} of 1 or more, as {_EXAMPLE}; got '{part}'")
    return int(digits)


def _refused(config: ModelConfig, reason: str) -> Exception:
    return wrong(config, GEARS, reason)
