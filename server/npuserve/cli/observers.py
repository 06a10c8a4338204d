"""Composes what is told of finished requests."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from npuserve.config.metrics_options import MetricsOptions
from npuserve.config.trace_options import TraceOptions
from npuserve.observability.fan_out import RequestFanOut
from npuserve.observability.latencies import LatencyRecorder
from npuserve.observability.logging import LogSettings
from npuserve.observability.otel import span_recorder
from npuserve.observability.request_log import RequestLog, SlowRequestLog
from npuserve.observability.requests import RequestObserver
from npuserve.observability.trace_file import TraceRecorder
from npuserve.observability.tracing import TraceSetting, TraceSettings


class _Recorder(RequestObserver, Protocol):
    def close(self) -> None: ...


class Observers:
    """The observers of a server's requests, behind one, and the settings that say what they want.

    Raises MissingExtraError if spans are asked for and their libraries are not installed.
    """

    def __init__(
        self, log_settings: LogSettings, trace: TraceOptions, metrics: MetricsOptions, slow_requests_ms: float
    ) -> None:
        self.log_settings = log_settings
        self.trace_settings = TraceSettings(
            TraceSetting(levels=trace.levels, rate=trace.rate, count=trace.count, log_frequency=trace.log_frequency),
            mode=trace.mode,
            file=trace.file,
        )
        self.latencies = LatencyRecorder(summaries=metrics.summary_latencies, histograms=metrics.histogram_latencies)
        self._recorder = self._make_recorder(trace)
        observers: list[RequestObserver] = [RequestLog(log_settings), SlowRequestLog(slow_requests_ms), self.latencies]
        if self._recorder is not None:
            observers.append(self._recorder)
        self.all = RequestFanOut(observers)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call the watcher when what the observers want may have changed."""
        self.log_settings.watch(watcher)
        self.trace_settings.watch(watcher)

    def close(self) -> None:
        """Write what is left of the traces. Blocks for that."""
        if self._recorder is not None:
            self._recorder.close()

    def _make_recorder(self, trace: TraceOptions) -> _Recorder | None:
        if trace.mode == "opentelemetry":
            return span_recorder(self.trace_settings, url=trace.url, resource=dict(trace.resource))
        return TraceRecorder(self.trace_settings, Path(trace.file)) if trace.file else None
