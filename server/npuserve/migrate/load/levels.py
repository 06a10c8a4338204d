"""Lists of loads, as they are written: `8`, `1,4,16`, `1:64:2` (from, to, step) or `1:64:x2` (from, to, factor)."""

from npuserve.migrate.errors import MigrationError

# What nobody means to wait for.
_MAX_LEVELS = 1000


def read_levels(text: str) -> list[float]:
    """Return the numbers in the order written. Raises MigrationError."""
    levels = [level for part in text.split(",") for level in _part(part.strip())]
    if len(levels) > _MAX_LEVELS:
        raise MigrationError(f"'{text}' are {len(levels)} loads: at most {_MAX_LEVELS} are measured")
    return levels


def _part(text: str) -> list[float]:
    fields = text.split(":")
    if len(fields) > 3:
        raise _wrong(text)
    if len(fields) == 1:
        return [_positive(text, text)]
    first, last = _positive(fields[0], text), _positive(fields[1], text)
    written = fields[2] if len(fields) == 3 else "1"
    is_factor = written.startswith("x")
    step = _positive(written.removeprefix("x"), text)
    if last < first or (is_factor and step <= 1) or (not is_factor and (last - first) / step > _MAX_LEVELS):
        raise _wrong(text)
    levels = [first]
    while (following := levels[-1] * step if is_factor else levels[-1] + step) <= last:
        levels.append(following)
    return levels


def _positive(field: str, text: str) -> float:
    try:
        number = float(field)
    except ValueError as error:
        raise _wrong(text) from error
    if not 0 < number < 1e9:
        raise _wrong(text)
    return number


def _wrong(text: str) -> MigrationError:
    return MigrationError(f"expected a number, FROM:TO[:STEP] or FROM:TO:xFACTOR, got '{text}'")
