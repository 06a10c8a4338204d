"""Latencies of single requests, for the summaries and histograms that cumulative counters cannot give."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from npuserve.core.status import StatusCode
from npuserve.core.timing import RequestTiming
from npuserve.observability.requests import FinishedRequest

# Quantiles are of so many last requests of a model version.
WINDOW = 1024
DEFAULT_BUCKETS_MS = (100.0, 500.0, 2000.0, 5000.0)
STAGES = ("request", "queue", "compute_input", "compute_infer", "compute_output")


@dataclass(frozen=True, slots=True)
class Summary:
    """How often something was observed, the sum in microseconds, and the last observations, ascending."""

    count: int
    total_us: int
    window_us: Sequence[int]

    def quantile(self, quantile: float) -> float:
        """Return the least observation that so great a share of them does not exceed; NaN if there are none."""
        if not self.window_us:
            return float("nan")
        return self.window_us[max(math.ceil(quantile * len(self.window_us)), 1) - 1]


@dataclass(frozen=True, slots=True)
class FirstResponses:
    """Times to first responses: bucket bounds in milliseconds, the count of each bucket alone, and their sum."""

    bounds_ms: tuple[float, ...]
    counts: tuple[int, ...]
    total_ms: float


@dataclass(slots=True)
class _Observed:
    count: int = 0
    total_us: int = 0
    window_us: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, ns: int) -> None:
        duration_us = ns // 1000
        self.count += 1
        self.total_us += duration_us
        self.window_us.append(duration_us)


@dataclass(slots=True)
class _Buckets:
    bounds_ms: tuple[float, ...]
    counts: list[int]
    total_ms: float = 0.0

    def add(self, ms: float) -> None:
        self.counts[sum(bound < ms for bound in self.bounds_ms)] += 1
        self.total_ms += ms


class LatencyRecorder:
    """Keeps the latencies of each model version's successful requests. Used on the event loop only.

    summaries, histograms: which of the two to keep; with neither, nothing is asked for.
    """

    def __init__(self, *, summaries: bool, histograms: bool) -> None:
        self._summaries = summaries
        self._histograms = histograms
        self._observed: dict[tuple[str, str], dict[str, _Observed]] = {}
        self._buckets: dict[tuple[str, str], _Buckets] = {}
        self._bounds: dict[tuple[str, str], tuple[float, ...]] = {}

    @property
    def wants_all(self) -> bool:
        """Whether anything is kept."""
        return self._summaries or self._histograms

    @property
    def slow_ns(self) -> int:
        """0: slow requests are like any other."""
        return 0

    def observe(self, request: FinishedRequest) -> None:
        """Count a request that succeeded."""
        if request.status is not StatusCode.OK:
            return
        key = (request.model, request.version)
        duration_ns = request.ended_ns - request.started_ns
        if self._histograms:
            bounds = self._bounds.get(key, DEFAULT_BUCKETS_MS)
            buckets = self._buckets.setdefault(key, _Buckets(bounds, [0] * (len(bounds) + 1)))
            buckets.add(duration_ns / 1e6)
        if self._summaries:
            observed = self._observed.setdefault(key, {stage: _Observed() for stage in STAGES})
            for stage, ns in {"request": duration_ns, **_stage_durations(request.timing)}.items():
                observed[stage].add(ns)

    def set_buckets(self, model: str, version: str, bounds_ms: tuple[float, ...]) -> None:
        """Use a model's own buckets from its next observation; what was counted in others is forgotten."""
        key = (model, version)
        if self._bounds.get(key, DEFAULT_BUCKETS_MS) != bounds_ms:
            self._bounds[key] = bounds_ms
            self._buckets.pop(key, None)

    def summaries(self, model: str, version: str) -> Mapping[str, Summary] | None:
        """Return what is known of each stage; None if summaries are not kept."""
        if not self._summaries:
            return None
        observed = self._observed.get((model, version), {})
        empty = _Observed()
        return {
            stage: Summary(found.count, found.total_us, sorted(found.window_us))
            for stage in STAGES
            for found in (observed.get(stage, empty),)
        }

    def first_responses(self, model: str, version: str) -> FirstResponses | None:
        """Return the histogram; None if histograms are not kept."""
        if not self._histograms:
            return None
        bounds = self._bounds.get((model, version), DEFAULT_BUCKETS_MS)
        buckets = self._buckets.get((model, version)) or _Buckets(bounds, [0] * (len(bounds) + 1))
        return FirstResponses(buckets.bounds_ms, tuple(buckets.counts), buckets.total_ms)

    def forget(self, known: set[tuple[str, str]]) -> None:
        """Drop what is kept of model versions other than these."""
        kept: dict[tuple[str, str], object]
        for kept in (self._observed, self._buckets, self._bounds):  # type: ignore[assignment]  # only keys matter
            for key in kept.keys() - known:
                del kept[key]


def _stage_durations(timing: RequestTiming | None) -> dict[str, int]:
    if timing is None:
        return {}
    input_end = timing.h2d_end_ns or timing.gathered_ns
    infer_end = timing.execute_end_ns or timing.d2h_end_ns
    return {
        "queue": timing.start_ns - timing.arrival_ns,
        "compute_input": input_end - timing.start_ns,
        "compute_infer": infer_end - input_end,
        "compute_output": timing.scattered_ns - infer_end,
    }
