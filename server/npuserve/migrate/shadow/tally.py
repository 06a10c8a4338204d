"""What has been found so far, model by model."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from npuserve.migrate.shadow.compare import Difference, OutputDifference
from npuserve.migrate.shadow.latencies import Latencies
from npuserve.migrate.shadow.options import Limits

COSINE_BOUNDS = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
"""Of the metrics' histogram."""


@dataclass(slots=True)
class _Output:
    """One output of a model."""

    compared: int = 0
    disagreed: int = 0
    with_cosine: int = 0
    sum_cosine: float = 0.0
    min_cosine: float = 1.0
    max_abs: float = 0.0
    choices: int = 0
    same_choices: int = 0

    def add(self, found: OutputDifference) -> None:
        self.compared += 1
        self.disagreed += bool(found.reason)
        if found.cosine is not None:
            self.with_cosine += 1
            self.sum_cosine += found.cosine
            self.min_cosine = min(self.min_cosine, found.cosine)
        self.max_abs = max(self.max_abs, found.max_abs or 0.0)
        self.choices += found.choices
        self.same_choices += found.same_choices

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"compared": self.compared, "disagreed": self.disagreed, "max_abs_error": self.max_abs}
        if self.with_cosine:
            told |= {"cosine_min": self.min_cosine, "cosine_mean": self.sum_cosine / self.with_cosine}
        if self.choices:
            told |= {"argmax_rows": self.choices, "argmax_agreed_rows": self.same_choices}
        return told


@dataclass(slots=True)
class _Model:
    """One model. mirrored: requests that were repeated; each is then compared or failed."""

    mirrored: int = 0
    compared: int = 0
    disagreed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    cosines: list[int] = field(default_factory=lambda: [0] * (len(COSINE_BOUNDS) + 1))
    sum_cosine: float = 0.0
    min_cosine: float | None = None
    max_abs: float = 0.0
    outputs: dict[str, _Output] = field(default_factory=dict)
    live: Latencies = field(default_factory=Latencies)
    reference: Latencies = field(default_factory=Latencies)

    def add(self, found: Difference) -> None:
        self.compared += 1
        if found.reason:
            self.disagreed[found.reason] += 1
        for output in found.outputs:
            self.outputs.setdefault(output.name, _Output()).add(output)
        self.max_abs = max(self.max_abs, found.max_abs or 0.0)
        cosine = found.cosine
        if cosine is not None:
            self.cosines[sum(bound < cosine for bound in COSINE_BOUNDS)] += 1
            self.sum_cosine += cosine
            self.min_cosine = cosine if self.min_cosine is None else min(self.min_cosine, cosine)

    def as_json(self) -> dict[str, Any]:
        told = {
            "mirrored": self.mirrored,
            "compared": self.compared,
            "disagreed": dict(self.disagreed),
            "failed": dict(self.failed),
            "max_abs_error": self.max_abs,
            "cosine_buckets": list(self.cosines),
            "cosine_sum": self.sum_cosine,
            "outputs": {name: output.as_json() for name, output in self.outputs.items()},
            "live": self.live.as_json(),
            "reference": self.reference.as_json(),
        }
        return told | ({} if self.min_cosine is None else {"cosine_min": self.min_cosine})


class Tally:
    """Counts comparisons and failures. unread: requests that were still queued at the end."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}
        self.unread = 0

    def sent(self, model: str) -> None:
        """Count a request that goes to the reference."""
        self._of(model).mirrored += 1

    def failed(self, model: str, reason: str) -> None:
        """Count a request that the reference did not answer."""
        self._of(model).failed[reason] += 1

    def compared(self, model: str, found: Difference, live_ns: int, reference_ns: int) -> None:
        """Count a request that both answered."""
        counted = self._of(model)
        counted.add(found)
        counted.live.add(live_ns)
        counted.reference.add(reference_ns)

    def failures(self, limits: Limits) -> list[str]:
        """Return what is beyond the limits of the whole, a sentence each; nothing if it holds or there is none."""
        if not limits.can_fail:
            return []
        compared = sum(model.compared for model in self._models.values())
        if not compared:
            return ["nothing was compared, so nothing is proved"]
        found = []
        least = min((model.min_cosine for model in self._models.values() if model.min_cosine is not None), default=None)
        bound = limits.fail_below_cosine
        if bound is not None and least is not None and least < bound:
            found.append(f"the least cosine is {least:.6f}, below {bound:g}")
        disagreed = sum(model.disagreed.total() for model in self._models.values())
        most = limits.fail_above_disagreed
        if most is not None and disagreed > most * compared:
            found.append(f"{disagreed} of {compared} answers disagree, more than {most:.2%}")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return all that is known as plain JSON."""
        return {"unread": self.unread, "models": {name: model.as_json() for name, model in self._models.items()}}

    def _of(self, model: str) -> _Model:
        return self._models.setdefault(model, _Model())
