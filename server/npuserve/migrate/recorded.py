"""Lengths that a running server has recorded, read from its metrics.

The server counts answered rows by their own length in the histogram `npu_request_length`. A bucket's rows are taken to
be as long as its bound; the histogram's sum tells how many tokens they really had.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from npuserve.migrate.errors import PlanError
from npuserve.migrate.exposed import exposed, number
from npuserve.migrate.sample import LengthSample, from_counts

METRIC = "npu_request_length"


@dataclass(slots=True)
class _Series:
    """One histogram: cumulative counts by bound, and the sum."""

    below: dict[float, int] = field(default_factory=dict)
    tokens: int = 0


def recorded_model(text: str, model: str | None) -> str:
    """Return the model whose lengths are to be read: the given one, or the only one there is. Raises PlanError."""
    series = _by_model(text)
    if not series:
        raise PlanError(f"there is no {METRIC}: has a model of npuserve that has variable lengths answered a request?")
    names = ", ".join(sorted(series))
    if model is None and len(series) > 1:
        raise PlanError(f"several models have recorded lengths: choose one of {names} by --model")
    if model is not None and model not in series:
        raise PlanError(f"there are no lengths of model '{model}', only of {names}")
    return model if model is not None else names


def read_recorded(text: str, model: str) -> LengthSample:
    """Read the lengths of a model, all versions together, from the text of a server's metrics. Raises PlanError."""
    parts = _by_model(text)[model].values()
    counts: Counter[int] = Counter()
    for part in parts:
        counts.update(_counts(part))
    if not counts.total():
        raise PlanError(f"model '{model}' has answered no request yet")
    tokens = sum(part.tokens for part in parts)
    if not 1 <= tokens <= sum(bound * rows for bound, rows in counts.items()):
        raise PlanError(f"the histogram {METRIC} is not one of lengths: its sum, {tokens}, is not of its buckets")
    return from_counts(counts, tokens)


def _by_model(text: str) -> dict[str, dict[str, _Series]]:
    """Return the histograms by model and by the rest of their labels."""
    found: dict[str, dict[str, _Series]] = {}
    for sample in exposed(text, f"{METRIC}_bucket", f"{METRIC}_sum"):
        labels = dict(sample.labels)
        bound = labels.pop("le", "")
        of_model = found.setdefault(labels.pop("model", ""), {})
        series = of_model.setdefault(repr(sorted(labels.items())), _Series())
        if sample.name.endswith("_sum"):
            series.tokens = sample.count
        else:
            series.below[number(bound, sample.line)] = sample.count
    return found


def _counts(series: _Series) -> Mapping[int, int]:
    """Return the rows of each bucket by its bound. Raises PlanError for what no histogram of lengths can be."""
    counts: dict[int, int] = {}
    before = 0
    for bound, below in sorted(series.below.items()):
        rows, before = below - before, below
        if rows < 0 or (rows and not (1 <= bound < math.inf and bound == int(bound))):
            raise PlanError(f"the histogram {METRIC} is not one of lengths: {rows} rows up to {bound:g}")
        if rows:
            counts[int(bound)] = rows
    return counts
