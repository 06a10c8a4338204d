"""What a stage measured, against what it must reach."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Sense = Literal["above", "below", "at least", "at most", "equal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One value and its limit. name: in words, as `cosine of the logits`. unit: "" for a plain number."""

    name: str
    value: float
    sense: Sense
    limit: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value is on the right side; NaN never is."""
        if math.isnan(self.value):
            return False
        match self.sense:
            case "above":
                return self.value > self.limit
            case "below":
                return self.value < self.limit
            case "at least":
                return self.value >= self.limit
            case "at most":
                return self.value <= self.limit
            case "equal":
                return self.value == self.limit

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        sense = "equal to" if self.sense == "equal" else self.sense
        return f"{self.name} is {_shown(self.value)}{unit}, must be {sense} {_shown(self.limit)}{unit}"


def _shown(value: float) -> str:
    text = f"{value:.6g}"
    # Of cosines, how far they are from one.
    return text if float(text) == value or text not in ("1", "-1") else f"{value:.12g}"


def failed(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Return the checks that did not pass."""
    return tuple(check for check in checks if not check.passed)
