"""Log lines of requests: each, if the log is verbose, and slow ones in any case."""

import logging

from npuserve.core.timing import RequestTiming
from npuserve.observability.logging import FIELDS, LogSettings
from npuserve.observability.requests import FinishedRequest

_log = logging.getLogger(__name__)


class RequestLog:
    """Writes a debug line a request, while the log is verbose."""

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings

    @property
    def wants_all(self) -> bool:
        """Whether the log is verbose now."""
        return self._settings.options.verbose > 0

    @property
    def slow_ns(self) -> int:
        """0: slowness alone is not this log's."""
        return 0

    def observe(self, request: FinishedRequest) -> None:
        """Write the line."""
        write_request(logging.DEBUG, "request", request)


class SlowRequestLog:
    """Writes a warning for each request that took longer than so many milliseconds; 0: for none."""

    def __init__(self, threshold_ms: float) -> None:
        self._slow_ns = round(threshold_ms * 1e6)

    @property
    def wants_all(self) -> bool:
        """False: only slow ones."""
        return False

    @property
    def slow_ns(self) -> int:
        """What is slow, in nanoseconds."""
        return self._slow_ns

    def observe(self, request: FinishedRequest) -> None:
        """Write the line."""
        write_request(logging.WARNING, "slow request", request)


def write_request(level: int, title: str, request: FinishedRequest) -> None:
    """Write a line with all that is known of a request; durations are in microseconds."""
    fields = request_fields(request)
    text = " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())
    _log.log(level, "%s: %s", title, text, extra={FIELDS: fields})


def request_fields(request: FinishedRequest) -> dict[str, str | int]:
    """Return what a line tells: who asked for what, how it ended, which batch it was in, and where its time went."""
    fields: dict[str, str | int] = {
        "request_id": request.id,
        "model": request.model,
        "version": request.version,
        "protocol": request.front_end,
        "status": request.status.name,
        "total_us": (request.ended_ns - request.started_ns) // 1000,
    }
    if request.message:
        fields["error"] = request.message
    if request.timing is not None:
        timing = request.timing
        fields |= {"batch_id": timing.batch_id, "gear": timing.gear, "batch_rows": timing.batch_rows}
        fields |= {f"{stage}_us": (end - start) // 1000 for stage, start, end in stages(timing)}
    return fields


def stages(timing: RequestTiming) -> list[tuple[str, int, int]]:
    """Return the stages of a request with their first and last instants.

    A device that does not tell its stages apart gives one, `execute`, for all three.
    """
    begin = [("queue", timing.arrival_ns, timing.start_ns), ("gather", timing.start_ns, timing.gathered_ns)]
    if timing.h2d_end_ns and timing.execute_end_ns:
        device = [
            ("h2d", timing.gathered_ns, timing.h2d_end_ns),
            ("execute", timing.h2d_end_ns, timing.execute_end_ns),
            ("d2h", timing.execute_end_ns, timing.d2h_end_ns),
        ]
    else:
        device = [("execute", timing.gathered_ns, timing.d2h_end_ns)]
    return [*begin, *device, ("scatter", timing.d2h_end_ns, timing.scattered_ns)]


def _quoted(value: str | int) -> str:
    """Return a value as one word of a line."""
    text = str(value)
    return text if text and text.isprintable() and not set(text) & set(' "=') else repr(text)
