"""The fewest layers that must keep float32, found by halving. No compiler here: what is tried is a question."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Holds = Callable[[Sequence[str]], bool]
"""Whether the limits hold with these layers in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """kept: layers with which the limits hold, in the order given; None: no short list. trials: questions asked."""

    kept: tuple[str, ...] | None
    trials: int


def fewest(ranked: Sequence[str], holds: Holds, *, max_trials: int = 24, most: float = 0.5) -> Search:
    """Find few layers to keep. ranked: all layers, the likeliest first. most: the share of them that is still few.

    First by halving the number of layers from the top of the list (more layers never make it worse, or so it is taken),
    then by leaving out ever smaller parts of what was found, until single layers were tried or `max_trials` reached.
    The answer was tried, whatever was taken for granted on the way.
    """
    asked = _Asked(holds, max_trials)
    if asked.holds(()):
        return Search(kept=(), trials=asked.trials)
    few, enough = 0, max(math.ceil(len(ranked) * most), 1)
    if not ranked or not asked.holds(tuple(ranked[:enough])):
        return Search(kept=None, trials=asked.trials)
    while enough - few > 1 and not asked.is_over:
        middle = _middle(few, enough)
        if asked.holds(tuple(ranked[:middle])):
            enough = middle
        else:
            few = middle
    kept = _thinned(tuple(ranked[:enough]), asked)
    return Search(kept=kept, trials=asked.trials)


def _middle(few: int, enough: int) -> int:
    """Return the next number to try: the geometric middle, as few layers are the rule."""
    return min(max(few + 1, math.isqrt(max(few, 1) * enough)), enough - 1)


def _thinned(kept: tuple[str, ...], asked: "_Asked") -> tuple[str, ...]:
    size = len(kept) // 2
    while size >= 1:
        start = 0
        while start < len(kept) and len(kept) > 1 and not asked.is_over:
            without = kept[:start] + kept[start + size :]
            if without and asked.holds(without):
                kept = without
            else:
                start += size
        size //= 2
    return kept


class _Asked:
    def __init__(self, holds: Holds, most: int) -> None:
        self._holds = holds
        self._most = most
        self._known: dict[tuple[str, ...], bool] = {}

    @property
    def trials(self) -> int:
        return len(self._known)

    @property
    def is_over(self) -> bool:
        return self.trials >= self._most

    def holds(self, layers: tuple[str, ...]) -> bool:
        if layers not in self._known:
            self._known[layers] = self._holds(layers)
        return self._known[layers]
