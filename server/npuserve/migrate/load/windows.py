"""Slices of time, which the client processes count in, put together to windows; and whether windows agree."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean
from urllib.parse import unquote

import grpc

from npuserve.migrate.load.exchange import Slice
from npuserve.migrate.load.histogram import Histogram
from npuserve.migrate.load.interface import http_error
from npuserve.migrate.load.report import Failure, Window

AGREEING = 3

_STATUSES = {code.value[0]: code.name for code in grpc.StatusCode} | {-1: "connection", -2: "bad answer"}
_FIRST_HTTP_STATUS = 100


def window_of(parts: Sequence[Slice]) -> Window:
    """Return what all processes have counted in the same stretch."""
    tallies = [part["tally"] for part in parts]
    seconds = max(part["seconds"] for part in parts)
    return Window(
        seconds=seconds,
        latency=Histogram.merged(Histogram.of_fields(tally["latency"]) for tally in tallies),
        service=Histogram.merged(Histogram.of_fields(tally["service"]) for tally in tallies),
        sent=sum(tally["sent"] for tally in tallies),
        sent_bytes=sum(tally["sent_bytes"] for tally in tallies),
        received_bytes=sum(tally["received_bytes"] for tally in tallies),
        failures=_together(
            Failure(_status(code), count, _message(code, message))
            for tally in tallies
            for code, (count, message) in tally["failures"].items()
        ),
        behind_seconds=max(tally["behind_ns"] for tally in tallies) / 1e9,
        client_cores=sum(part["cpu_seconds"] / part["seconds"] for part in parts),
    )


def joined(windows: Sequence[Window]) -> Window:
    """Return windows that follow each other as one."""
    seconds = sum(window.seconds for window in windows)
    return Window(
        seconds=seconds,
        latency=Histogram.merged(window.latency for window in windows),
        service=Histogram.merged(window.service for window in windows),
        sent=sum(window.sent for window in windows),
        sent_bytes=sum(window.sent_bytes for window in windows),
        received_bytes=sum(window.received_bytes for window in windows),
        failures=_together(failure for window in windows for failure in window.failures),
        behind_seconds=windows[-1].behind_seconds,
        client_cores=sum(window.client_cores * window.seconds for window in windows) / seconds,
    )


def agree(windows: Sequence[Window], within: float) -> bool:
    """Say whether the last windows are enough, and each is near their mean in throughput and in mean latency."""
    last = windows[-AGREEING:]
    if len(last) < AGREEING or not all(window.latency.total for window in last):
        return False
    return _near([window.throughput for window in last], within) and _near(
        [window.latency.mean_ns for window in last], within
    )


def _near(values: Sequence[float], within: float) -> bool:
    mean = fmean(values)
    return all(abs(value - mean) <= within * mean for value in values)


def _together(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    counts: Counter[str] = Counter()
    messages: dict[str, str] = {}
    for failure in failures:
        counts[failure.status] += failure.count
        messages.setdefault(failure.status, failure.message)
    return tuple(Failure(status, count, messages[status]) for status, count in counts.most_common())


def _status(code: int) -> str:
    return f"HTTP {code}" if code >= _FIRST_HTTP_STATUS else _STATUSES.get(code, f"status {code}")


def _message(code: int, message: bytes) -> str:
    # gRPC's messages come percent-encoded.
    return http_error(message) if code >= _FIRST_HTTP_STATUS else unquote(message.decode(errors="replace"))
