"""Both services under the same load, in turns, so that what else the machine does hits both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from npuserve.migrate.chain.stage import Tell
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.load import Histogram, LoadOptions, LoadReport, measure

_WARM_UP_SECONDS = 0.5
# Of a plotted line.
_POINTS = 200
# Where a limit is missed, so many times the rounds are measured before that is believed.
MOST_TIMES = 4

Measure = Callable[[LoadOptions], LoadReport]
Doubtful = Callable[[Sequence["Standing"]], bool]
"""Whether the standings at one concurrency should be measured longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A service. name: as tables have it. samples: its requests, in its own types."""

    name: str
    url: str
    model: str
    samples: Sequence[Tensors]


@dataclass(frozen=True, slots=True)
class Round:
    """What one service did in one of its turns. p99_ms: NaN if nothing was answered."""

    qps: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What one service did at one concurrency, all rounds together, and each."""

    server: str
    concurrency: int
    latency: Histogram
    seconds: float
    rounds: tuple[Round, ...]
    errors: int
    first_error: str = ""

    @property
    def qps(self) -> float:
        """Successful requests a second."""
        return self.latency.total / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latency; NaN if nothing was answered."""
        return self.latency.quantile_ns(percent / 100) / 1e6

    def row(self) -> dict[str, Any]:
        """Return a row of the table."""
        return {
            "server": self.server,
            "concurrency": self.concurrency,
            "qps": self.qps,
            **{f"p{percent}_ms": self.percentile_ms(percent) for percent in (50, 95, 99)},
            "errors": self.errors,
        }

    def cdf(self) -> dict[str, Any]:
        """Return the share of requests that had their answer after so many milliseconds."""
        total, so_far, points = self.latency.total, 0, []
        for value_ns, count in self.latency.steps():
            so_far += count
            points.append([value_ns / 1e6, so_far / total])
        step = max(1, -(-len(points) // _POINTS))
        kept = points[::step] if not points or points[::step][-1] == points[-1] else [*points[::step], points[-1]]
        return {"server": self.server, "concurrency": self.concurrency, "points": kept}


def contest(
    contestants: Sequence[Contestant],
    concurrencies: Sequence[int],
    *,
    seconds: float,
    rounds: int,
    tell: Tell,
    doubtful: Doubtful = lambda standings: False,
    measure: Measure = measure,
) -> list[Standing]:
    """Load each service at each concurrency for so many seconds in all, longer if in doubt. Raises MigrationError."""
    standings = []
    for concurrency in concurrencies:
        reports: dict[str, list[LoadReport]] = {each.name: [] for each in contestants}
        for number in range(rounds * MOST_TIMES):
            if number and number % rounds == 0 and not doubtful(_standings(concurrency, reports)):
                break
            # Who goes first changes, as what warms up or slows down in between would favour one.
            order = contestants if number % 2 == 0 else contestants[::-1]
            for each in order:
                tell(f"load: {each.name}, {concurrency} at once, round {number + 1}")
                reports[each.name].append(measure(_options(each, concurrency, seconds / rounds)))
        standings += _standings(concurrency, reports)
    return standings


def _standings(concurrency: int, reports: Mapping[str, Sequence[LoadReport]]) -> list[Standing]:
    return [_standing(name, concurrency, found) for name, found in reports.items()]


def _options(contestant: Contestant, concurrency: int, seconds: float) -> LoadOptions:
    return LoadOptions(
        url=contestant.url,
        model=contestant.model,
        samples=contestant.samples,
        concurrency=concurrency,
        warmup_seconds=_WARM_UP_SECONDS,
        window_seconds=seconds,
        max_windows=1,
    )


def _standing(server: str, concurrency: int, reports: Sequence[LoadReport]) -> Standing:
    measured = [report.measured for report in reports]
    failures = [failure for window in measured for failure in window.failures]
    return Standing(
        server=server,
        concurrency=concurrency,
        latency=Histogram.merged(window.latency for window in measured),
        seconds=sum(window.seconds for window in measured),
        rounds=tuple(
            Round(report.measured.latency.total / report.measured.seconds, report.latency_ms(99)) for report in reports
        ),
        errors=sum(failure.count for failure in failures),
        first_error=f"{failures[0].status}: {failures[0].message}" if failures else "",
    )
