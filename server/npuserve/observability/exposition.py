"""Metric families and the Prometheus text that tells them (text format 0.0.4)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: a value under labels. suffix: what follows the family's name, as `_sum`; "" for nothing.

    last: a label that stands after the others, which are sorted: `le` or `quantile`; None if there is none.
    """

    labels: Labels
    value: float
    suffix: str = ""
    last: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A metric: its name, its kind (`counter`, `gauge`, `histogram`, `summary`), what it means, its samples."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample] = field(default_factory=tuple)


def render(families: Iterable[Family]) -> bytes:
    """Return the text of the families that have samples; samples of equally named families stand together."""
    merged: dict[str, list[Family]] = {}
    for family in families:
        if family.samples:
            merged.setdefault(family.name, []).append(family)
    lines: list[str] = []
    for name, parts in merged.items():
        lines += [f"# HELP {name} {_escaped_help(parts[0].help)}", f"# TYPE {name} {parts[0].kind}"]
        lines += [_line(name, sample) for part in parts for sample in part.samples]
    return "".join(f"{line}\n" for line in lines).encode()


def histogram(labels: Labels, bounds: Sequence[float], counts: Sequence[int], total: float) -> list[Sample]:
    """Return a histogram's samples.

    bounds: of the buckets, ascending, without infinity. counts: of each bucket alone, one more than bounds.
    total: the sum of what was observed.
    """
    samples = [Sample(labels, sum(counts), "_count"), Sample(labels, total, "_sum")]
    below = 0
    for bound, count in zip((*bounds, math.inf), counts, strict=True):
        below += count
        samples.append(Sample(labels, below, "_bucket", ("le", _number(bound))))
    return samples


def histogram_of(labels: Labels, bounds: Sequence[float], values: Sequence[tuple[float, int]]) -> list[Sample]:
    """Return the histogram of values, each with how often it was observed.

    bounds: of the buckets, ascending, without infinity.
    """
    counts = [0] * (len(bounds) + 1)
    for value, count in values:
        counts[sum(bound < value for bound in bounds)] += count
    return histogram(labels, bounds, counts, sum(value * count for value, count in values))


def _line(name: str, sample: Sample) -> str:
    pairs = [*sorted(sample.labels.items()), *((sample.last,) if sample.last else ())]
    labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in pairs)
    return f"{name}{sample.suffix}{'{' + labels + '}' if labels else ''} {_number(sample.value)}"


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escaped_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
