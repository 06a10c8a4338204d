"""Axes of plots: from values to places, with ticks at round numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps `low..high` to `start..end`, by logarithm if asked."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value; those beyond the ends are at the ends."""
        clipped = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(clipped / self.low) / math.log(self.high / self.low)
        else:
            share = (clipped - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Round values within the ends."""
        return _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high)


def linear(values: Sequence[float], start: float, end: float, *, from_zero: bool = True) -> Scale:
    """Return a scale over the values with round ends."""
    low, high = min(values), max(values)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        high = low + 1
    step = _step(high - low)
    return Scale(low=math.floor(low / step) * step, high=math.ceil(high / step) * step, start=start, end=end)


def logarithmic(values: Sequence[float], start: float, end: float) -> Scale:
    """Return a scale over the positive ones of the values, with ends at 1, 2 or 5 of a power of ten."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = _below(min(positive)), _above(max(positive))
    return Scale(low=low, high=high if high > low else low * 10, start=start, end=end, log=True)


_MOST_TICKS = 6


def _step(span: float) -> float:
    power = 10.0 ** math.floor(math.log10(span / _MOST_TICKS))
    return next(power * of for of in (1, 2, 2.5, 5, 10) if span / (power * of) <= _MOST_TICKS)


def _linear_ticks(low: float, high: float) -> list[float]:
    step = _step(high - low)
    first = math.ceil(low / step - 1e-9)
    return [round((first + place) * step, 12) for place in range(int((high - low) / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    most = 1 + 1e-9
    for digits in ((1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        within = [tick for tick in ticks if low / most <= tick <= high * most]
        if len(within) <= _MOST_TICKS + 2:
            return within
    return within[:: -(-len(within) // _MOST_TICKS)]


def _below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(power * digit for digit in (1, 2, 5) if power * digit <= value * (1 + 1e-9))


def _above(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return min(power * digit for digit in (1, 2, 5, 10) if power * digit >= value * (1 - 1e-9))
