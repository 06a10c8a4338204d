"""What a load found."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.load.histogram import Histogram

PERCENTILES = (50, 75, 90, 95, 99, 99.9)


@dataclass(frozen=True, slots=True)
class Failure:
    """Requests that failed alike. status: `UNAVAILABLE`, `HTTP 503`, `connection`, `bad answer`; message: the first."""

    status: str
    count: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of time. Requests are counted where they are answered.

    latency: from when a request was due. service: from when it was sent; the same in a closed loop.
    behind_seconds: how late the next request of an open loop was at the end. client_cores: busy with making the load.
    """

    seconds: float
    latency: Histogram
    service: Histogram
    sent: int
    sent_bytes: int
    received_bytes: int
    failures: tuple[Failure, ...]
    behind_seconds: float
    client_cores: float

    @property
    def throughput(self) -> float:
        """Successful requests a second."""
        return self.latency.total / self.seconds

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return sum(failure.count for failure in self.failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a measurement is. window: 0 while it warms up; latest: the last fraction of a second."""

    window: int
    max_windows: int
    latest: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """A measurement: the last windows together, and each of all.

    rows: of a request, on average. stable: the last windows agree. unanswered: given up at the end.
    answers: by the sample's number, from 0; as many as were asked for.
    """

    model: str
    protocol: str
    concurrency: int | None
    request_rate: float | None
    processes: int
    connections: int
    rows: float
    measured: Window
    windows: tuple[Window, ...]
    stable: bool
    unanswered: int
    answers: Mapping[int, Tensors] = field(default_factory=dict)

    @property
    def throughput(self) -> float:
        """Successful requests a second."""
        return self.measured.throughput

    @property
    def rows_per_second(self) -> float:
        """Rows of successful requests a second."""
        return self.throughput * self.rows

    @property
    def load(self) -> str:
        """In words, as `concurrency 8`."""
        if self.request_rate is not None:
            return f"{self.request_rate:g} requests/s"
        return f"concurrency {self.concurrency}"

    def latency_ms(self, percent: float) -> float:
        """Return a percentile of the latency; NaN if nothing was answered."""
        return self.measured.latency.quantile_ns(percent / 100) / 1e6

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before trusting the numbers."""
        found = []
        if not self.stable:
            found.append(f"{self.load}: the windows do not agree; measure longer, or on a machine with less else to do")
        if self.measured.client_cores > 0.9 * self.processes:
            found.append(f"{self.load}: the client itself was busy all the time; give it more --processes")
        if self.request_rate is not None and self.measured.behind_seconds > 0.1:
            late = self.measured.behind_seconds
            found.append(f"{self.load}: requests left {late:.1f} s late; the server does not keep up with this rate")
        return tuple(found)


def as_json(report: LoadReport) -> dict[str, Any]:
    """Return plain JSON. Latencies are in ms; `steps` has [largest latency, requests] of each bucket."""
    measured = report.measured
    return {
        "model": report.model,
        "protocol": report.protocol,
        "concurrency": report.concurrency,
        "request_rate": report.request_rate,
        "processes": report.processes,
        "connections": report.connections,
        "stable": report.stable,
        "rows_per_request": report.rows,
        "rows_per_second": report.rows_per_second,
        **_window_json(measured),
        "sent_bytes": measured.sent_bytes,
        "received_bytes": measured.received_bytes,
        "unanswered": report.unanswered,
        "client_cores": measured.client_cores,
        "behind_seconds": measured.behind_seconds,
        "errors": [{"status": each.status, "count": each.count, "message": each.message} for each in measured.failures],
        "service_ms": _latency_json(measured.service),
        "steps": [[value / 1e6, count] for value, count in measured.latency.steps()],
        "windows": [_window_json(window) for window in report.windows],
        "warnings": list(report.warnings),
    }


def _window_json(window: Window) -> dict[str, Any]:
    return {
        "seconds": window.seconds,
        "requests": window.latency.total,
        "failed": window.failed,
        "throughput": window.throughput,
        "latency_ms": _latency_json(window.latency),
    }


def _latency_json(histogram: Histogram) -> dict[str, float | None]:
    values = {
        "mean": histogram.mean_ns,
        "min": float(histogram.min_ns),
        **{f"p{percent:g}": histogram.quantile_ns(percent / 100) for percent in PERCENTILES},
        "max": float(histogram.max_ns),
    }
    return {name: None if math.isnan(value) or not histogram.total else value / 1e6 for name, value in values.items()}
