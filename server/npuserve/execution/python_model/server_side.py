"""What a model reaches of its server without a request: the log and the metrics. Exists in worker processes only."""

import threading
from collections.abc import Mapping
from typing import ClassVar

from npuserve.execution.python_model.worker_link import WorkerLink

Labels = tuple[tuple[str, str], ...]

# A model's calls carry no object of the server's: the process has one link, set once by the worker.
_links: list[WorkerLink] = []
# Of the process, as in Triton: a model makes its families anew where it likes.
_values: dict[tuple[str, Labels], float] = {}
_values_lock = threading.Lock()


def bind(link: WorkerLink) -> None:
    """Reach the server through this link from now on. Called by the worker, once."""
    _links.append(link)


def link() -> WorkerLink:
    """Return the link to the server."""
    return _links[0]


class TritonModelException(Exception):
    """What the server refuses to a model: wrong use, or a failed call."""


class Logger:
    """Writes to the server's log."""

    INFO: ClassVar[str] = "info"
    WARNING: ClassVar[str] = "warning"
    ERROR: ClassVar[str] = "error"
    VERBOSE: ClassVar[str] = "verbose"

    @staticmethod
    def log(message: str, level: str = "info") -> None:
        """Write a line of a level."""
        link().send("log", (level, str(message)))

    @staticmethod
    def log_info(message: str) -> None:
        """Write a line for information."""
        Logger.log(message, Logger.INFO)

    @staticmethod
    def log_warn(message: str) -> None:
        """Write a warning."""
        Logger.log(message, Logger.WARNING)

    @staticmethod
    def log_error(message: str) -> None:
        """Write an error."""
        Logger.log(message, Logger.ERROR)

    @staticmethod
    def log_verbose(message: str) -> None:
        """Write a line that only a verbose server shows."""
        Logger.log(message, Logger.VERBOSE)


class Metric:
    """One series of a family. `value` is what this process made of it; the server sums counters of all processes.

    values: of all series of this process, by family and labels: equal labels are one series.
    """

    def __init__(
        self, family: str, kind: int, labels: Mapping[str, str], values: dict[tuple[str, Labels], float]
    ) -> None:
        self._family, self._kind = family, kind
        self._labels = {str(key): str(value) for key, value in labels.items()}
        self._values = values
        self._key = family, tuple(sorted(self._labels.items()))
        self._lock = _values_lock
        with self._lock:
            values.setdefault(self._key, 0.0)
        self._send("increment", 0.0)

    def increment(self, value: float) -> None:
        """Add to the metric. Raises TritonModelException if a counter would become smaller."""
        if value < 0 and self._kind == MetricFamily.COUNTER:
            raise TritonModelException(
                "Failed to increment metric value: TRITONSERVER_METRIC_KIND_COUNTER can only be incremented "
                "monotonically by non-negative values."
            )
        with self._lock:
            self._values[self._key] += value
        self._send("increment", float(value))

    def set(self, value: float) -> None:
        """Set a gauge. Raises TritonModelException for a counter."""
        if self._kind != MetricFamily.GAUGE:
            raise TritonModelException(
                "Failed to set metric value: TRITONSERVER_METRIC_KIND_COUNTER does not support Set"
            )
        with self._lock:
            self._values[self._key] = float(value)
        self._send("set", float(value))

    def value(self) -> float:
        """Return the value as this process knows it."""
        return self._values[self._key]

    def _send(self, operation: str, value: float) -> None:
        link().send("metric", (self._family, operation, self._labels, value))


class MetricFamily:
    """Metrics of one name on the server's metrics endpoint."""

    COUNTER: ClassVar[int] = 0
    GAUGE: ClassVar[int] = 1

    def __init__(self, name: str, description: str, kind: int) -> None:
        if kind not in (MetricFamily.COUNTER, MetricFamily.GAUGE):
            raise TritonModelException(f"metric family '{name}': only COUNTER and GAUGE are supported, got {kind}")
        self._name, self._kind = name, kind
        link().send("family", (name, description, "counter" if kind == MetricFamily.COUNTER else "gauge"))

    def Metric(self, labels: Mapping[str, str] | None = None) -> Metric:
        """Return the metric with these labels."""
        return Metric(self._name, self._kind, labels or {}, _values)
