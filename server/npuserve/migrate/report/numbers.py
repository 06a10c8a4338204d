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
_SMALL = 1e-3


def tick(value: float) -> str:
    """Return a round number, as short as can be."""
    if value == 0 or abs(value) >= 1:
        return shown(value)
    return f"{value:g}" if abs(value) >= _SMALL else f"{value:.0e}".replace("e-0", "e-")


def measured(value: float) -> str:
    """Return a figure: what is counted is whole, what is measured has a point."""
    text = shown(value)
    return text if isinstance(value, int) or not text.isdecimal() or abs(value) >= 1000 else f"{text}.0"


def shown(value: float) -> str:
    """Return four digits that count, or a whole number in full."""
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < 1e15):
        whole = int(value)
        return f"{whole:,}".replace(",", "\N{THIN SPACE}") if abs(whole) >= _GROUPED_FROM else str(whole)
    if not math.isfinite(value):
        return str(value)
    if abs(value) < 1 and f"{abs(value):.{_DIGITS}f}" == "1.0000":
        return _near_one(value)
    if not _SMALL <= abs(value) < 10**_DIGITS:
        return _scientific(value)
    return f"{value:.{_DIGITS}g}"


def unit_of(name: str) -> tuple[str, str]:
    """Split a figure's name into words and its unit, as `p50_ms` into `p50` and `ms`."""
    for ending, unit in _UNITS.items():
        if name.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)].replace("_", " "), unit
    return name.replace("_", " "), ""


def _near_one(value: float) -> str:
    """Show of cosines how far they are from one, however near."""
    text = f"{value:.8f}"
    if text not in ("1.00000000", "-1.00000000"):
        return text.rstrip("0")
    return f"{'1 − ' if value > 0 else '−1 + '}{_scientific(1 - abs(value))}"


def _scientific(value: float) -> str:
    digits, _, power = f"{value:.2e}".partition("e")
    return f"{digits}e{int(power)}"
