"""What was found of both services, as checks, tables and advice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from npuserve.migrate.chain.gates import Check
from npuserve.migrate.chain.settings import ProveSettings
from npuserve.migrate.prove.accuracy import Score
from npuserve.migrate.prove.contest import Standing
from npuserve.migrate.prove.services import NEW, OLD
from npuserve.migrate.serve.agreement import Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """scores: by service; empty without a labelled set. agreement: of the new answers with the old ones.

    memory_mb: of the processes that are ours, by service.
    """

    agreement: Agreement
    scores: dict[str, Score]
    standings: Sequence[Standing]
    memory_mb: dict[str, float]

    def checks(self, limits: ProveSettings) -> list[Check]:
        """Return the gate."""
        return [*self._quality(limits), *self._errors(), *self._speed(limits)]

    @property
    def fewest_requests(self) -> float:
        """Of a round: of fewer than 100, the P99 is no more than the longest."""
        return min(standing.latency.total / len(standing.rounds) for standing in self.standings)

    def figures(self) -> dict[str, Any]:
        """Return the tables."""
        found: dict[str, Any] = {
            "load": [standing.row() for standing in self.standings],
            "cdf": [standing.cdf() for standing in self.standings],
            "consistency": [
                {
                    "server": NEW,
                    "cosine": self.agreement.cosine,
                    "max_abs": self.agreement.max_abs,
                    "argmax_agreement": self.agreement.argmax,
                }
            ],
        }
        if self.memory_mb:
            found["memory"] = [{"server": name, "host_mb": value} for name, value in self.memory_mb.items()]
        if self.scores:
            found["task"] = [
                {"server": name, "accuracy": score.accuracy, "correct": score.correct, "total": score.total}
                | _entities(score)
                for name, score in self.scores.items()
            ]
        return found

    def _quality(self, limits: ProveSettings) -> list[Check]:
        if not self.scores:
            # Without labels, an answer that differs may be a wrong one.
            name, share = "answers with the same class as the baseline's", _percent(self.agreement.argmax)
            return [Check(name=name, value=share, sense="at least", limit=100 - limits.max_accuracy_drop, unit="%")]
        new, old = self.scores[NEW], self.scores[OLD]
        drops = {"accuracy drop": old.accuracy - new.accuracy}
        if new.entities is not None and old.entities is not None:
            drops["drop of the entities' F1"] = old.entities.f1 - new.entities.f1
        return [
            Check(name=name, value=_percent(drop), sense="at most", limit=limits.max_accuracy_drop, unit="points")
            for name, drop in drops.items()
        ]

    def _errors(self) -> list[Check]:
        errors = sum(standing.errors for standing in self.standings if standing.server == NEW)
        return [Check(name="requests that failed under load", value=errors, sense="equal", limit=0)] if errors else []

    def _speed(self, limits: ProveSettings) -> list[Check]:
        return [check for pair in self._pairs() for check in speed_checks(*pair, limits)]

    def _pairs(self) -> list[tuple[Standing, Standing]]:
        by_place = {(standing.server, standing.concurrency): standing for standing in self.standings}
        return [
            (standing, by_place[OLD, standing.concurrency]) for standing in self.standings if standing.server == NEW
        ]


def speed_checks(new: Standing, old: Standing, limits: ProveSettings) -> list[Check]:
    """Return the gate of one concurrency: medians of what each round's pair says.

    Both took turns within a few seconds, so that what slows the machine down for longer hits both; and what hits one
    alone decides nothing unless it does so in half of the rounds.
    """
    at = f"at {new.concurrency} at once, median of {len(new.rounds)} rounds, of the baseline's"
    # Of a round in which the old service answered nothing, nothing follows.
    pairs = [(one, other) for one, other in zip(new.rounds, old.rounds, strict=True) if other.qps]
    return [
        Check(
            name=f"QPS {at}",
            value=_typical([_ratio(one.qps, other.qps) for one, other in pairs]),
            sense="at least",
            limit=_percent(limits.min_qps_ratio),
            unit="%",
        ),
        Check(
            name=f"P99 {at}",
            value=_typical([_ratio(one.p99_ms, other.p99_ms) if one.qps else math.inf for one, other in pairs]),
            sense="at most",
            limit=_percent(limits.max_p99_ratio),
            unit="%",
        ),
    ]


_ON_NPU = "prove the speed on an NPU: the emulator rounds in software, so here a lower precision is slower"


def advice(failed: Sequence[Check], *, rounds_in_software: bool = False) -> list[str]:
    """Return what to try for checks that did not pass, the best first.

    rounds_in_software: the emulator serves a lower precision, where an NPU would have units for it.
    """
    names = " ".join(check.name for check in failed)
    found = []
    if "accuracy" in names or "F1" in names or "same class" in names:
        found.append("compile with compile.precision = must_keep_origin_dtype, and look at the layers of S3's report")
    if "failed under load" in names:
        found.append("read new.log for what the server refused")
    if "QPS" in names or "P99" in names:
        if rounds_in_software:
            found.append(_ON_NPU)
        found.append("plan the gears for the true lengths: `npuserve plan`, then compile.lengths and compile.batches")
        found.append("measure longer on a machine with nothing else to do: prove.seconds, prove.rounds")
    return found


def _entities(score: Score) -> dict[str, Any]:
    found = score.entities
    if found is None:
        return {}
    return {
        "entity_f1": found.f1,
        "entity_precision": found.precision,
        "entity_recall": found.recall,
        "entities": found.wanted,
    }


def _ratio(value: float, of: float) -> float:
    return value / of if of else float("nan")


def _typical(ratios: Sequence[float]) -> float:
    """Return the median in percent; NaN of nothing."""
    return _percent(median(ratios)) if ratios else math.nan


def _percent(share: float) -> float:
    """Return it without the last digits, in which 0.905 - 0.9 is more than 0.005."""
    return round(100 * share, 9)
