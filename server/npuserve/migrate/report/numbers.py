"""Numbers as texts, and the units that the names of figures end with."""

import math

_UNITS = {
    "_ms": "ms",
    "_us": "µs",
    "_ns": "ns",
    "_seconds": "s",
    "_mb": "MB",
    "_bytes": "bytes",
    "_percent": "%",
    "_points": "points",
}
_GROUPED_FROM = 10_000
_DIGITS = 4


def shown(value: float) -> str:
    """Return four digits that count, or a whole number in full."""
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < 1e15):
        whole = int(value)
        return f"{whole:,}".replace(",", "\N{THIN SPACE}") if abs(whole) >= _GROUPED_FROM else str(whole)
    if not math.isfinite(value):
        return str(value)
    if 1e-3 <= abs(value) < 1:
        return f"{value:.{_DIGITS}f}" if _near_one(value) is None else str(_near_one(value))
    size = f"{value:.{_DIGITS}g}"
    return size if "e" not in size else _scientific(value)


def unit_of(name: str) -> tuple[str, str]:
    """Split a figure's name into words and its unit, as `p50_ms` into `p50` and `ms`."""
    for ending, unit in _UNITS.items():
        if name.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)].replace("_", " "), unit
    return name.replace("_", " "), ""


def _near_one(value: float) -> str | None:
    """Show of cosines how far they are from one, which four digits would hide."""
    text = f"{value:.{_DIGITS}f}"
    return f"{value:.8f}".rstrip("0") if text == "1.0000" or text == "-1.0000" else None


def _scientific(value: float) -> str:
    digits, _, power = f"{value:.2e}".partition("e")
    return f"{digits}e{int(power)}"
