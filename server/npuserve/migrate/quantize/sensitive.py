"""Which layers int8 hurts, and the fewest that must stay in float."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from npuserve.migrate.chain.stage import Tell
from npuserve.migrate.compare.bisect import fewest
from npuserve.migrate.quantize.layers import Layer
from npuserve.migrate.quantize.questions import Grade


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One choice of layers that stay in float.

    drop, at_worst: in points; see Grade. p50_ms: of an OM for one row; None: it cannot be run here.
    """

    kept: tuple[str, ...]
    grade: Grade
    drop: float
    at_worst: float
    holds: bool
    p50_ms: float | None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "kept_layers": len(self.kept),
            "holds": self.holds,
            "drop_points": self.drop,
            "at_worst_points": self.at_worst,
            **self.grade.as_json(),
            "p50_ms": self.p50_ms,
            "kept": list(self.kept),
        }


Try = Callable[[tuple[str, ...]], Candidate]
"""Grades the graph with these layers in float."""


@dataclass(slots=True)
class Search:
    """ranking: layers with the error that each alone brings in, the worst first. chosen: None: no list holds."""

    candidates: list[Candidate] = field(default_factory=list)
    ranking: list[tuple[Layer, float]] = field(default_factory=list)
    chosen: Candidate | None = None

    @property
    def first(self) -> Candidate:
        """All layers in int8, but for those that the settings keep."""
        return self.candidates[0]


def search(
    layers: Sequence[Layer],
    attempt: Try,
    error_of: Callable[[Layer], float],
    *,
    bisect: bool,
    max_trials: int,
    tell: Tell,
) -> Search:
    """Try all layers in int8, and if that does not hold, look for the fewest to keep. One is always quantized."""
    found = Search()

    def tried(kept: tuple[str, ...]) -> Candidate:
        if known := next((each for each in found.candidates if set(each.kept) == set(kept)), None):
            return known
        tell(f"trial {len(found.candidates) + 1}: {len(kept)} of {len(layers)} layers in float")
        found.candidates.append(attempt(kept))
        return found.candidates[-1]

    if tried(()).holds:
        found.chosen = found.first
    if found.chosen is not None or not bisect or len(layers) == 1:
        return found
    for number, layer in enumerate(layers, start=1):
        tell(f"layer {number} of {len(layers)} alone in int8")
        found.ranking.append((layer, error_of(layer)))
    found.ranking.sort(key=lambda pair: -pair[1])
    ranked = [layer.name for layer, _ in found.ranking]
    # Rounded up, that is all but one.
    most = (len(ranked) - 1.5) / len(ranked)
    kept = fewest(ranked, lambda names: tried(tuple(names)).holds, max_trials=max_trials, most=most).kept
    if kept is not None:
        found.chosen = tried(tuple(kept))
    return found
