"""The trace file: a JSON array in Triton's form, written by a thread of its own."""

import json
import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from npuserve.core.timing import RequestTiming
from npuserve.observability.requests import FinishedRequest
from npuserve.observability.tracing import TraceSettings

_log = logging.getLogger(__name__)

# Traces that may wait for the disk; beyond, they are dropped and counted.
_MAX_WAITING = 10_000


class TraceRecorder:
    """Writes the requests that the settings choose.

    file: traces go to it, as one array; or, while the settings have a log frequency, to `<file>.<index>`.
    """

    def __init__(self, settings: TraceSettings, file: Path) -> None:
        self._settings = settings
        self._writer = _TraceWriter(file)
        self._next_id = 1

    @property
    def wants_all(self) -> bool:
        """Whether any request may be traced now."""
        return self._settings.is_on

    @property
    def slow_ns(self) -> int:
        """0: traces are not chosen by slowness."""
        return 0

    def observe(self, request: FinishedRequest) -> None:
        """Trace the request if it is one of those that are sampled."""
        if not self._settings.take(request.model):
            return
        self._writer.put(trace_events(self._next_id, request), self._settings.setting(request.model).log_frequency)
        self._next_id += 1

    def close(self) -> None:
        """Write what waits and end. Blocks on the disk. Idempotent."""
        self._writer.close()


def trace_events(number: int, request: FinishedRequest) -> list[Mapping[str, object]]:
    """Return a request's trace: what it was, then its instants in nanoseconds of the monotonic clock."""
    described: dict[str, object] = {"id": number, "model_name": request.model}
    if request.version.isdecimal():
        described["model_version"] = int(request.version)
    if request.id:
        described["request_id"] = request.id
    return [described, *({"id": number, "timestamps": [{"name": name, "ns": ns}]} for name, ns in _instants(request))]


def _instants(request: FinishedRequest) -> list[tuple[str, int]]:
    executed = _executed(request.timing) if request.timing is not None else []
    received = "HTTP_RECV_END" if request.front_end == "http" else "GRPC_WAITREAD_END"
    return [
        (received, request.started_ns),
        ("REQUEST_START", request.started_ns),
        *executed,
        ("INFER_RESPONSE_COMPLETE", request.ended_ns),
        ("REQUEST_END", request.ended_ns),
    ]


def _executed(timing: RequestTiming) -> list[tuple[str, int]]:
    return [
        ("QUEUE_START", timing.arrival_ns),
        ("COMPUTE_START", timing.start_ns),
        ("COMPUTE_INPUT_END", timing.h2d_end_ns or timing.gathered_ns),
        ("COMPUTE_OUTPUT_START", timing.execute_end_ns or timing.d2h_end_ns),
        ("COMPUTE_END", timing.scattered_ns),
    ]


class _TraceWriter:
    """A bounded queue and the thread that writes what is in it.

    Thread-safe: `put` and `close` are called on one thread; what follows `_waiting` is the writing thread's own.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._waiting: queue.Queue[tuple[Sequence[Mapping[str, object]], int] | None] = queue.Queue(_MAX_WAITING)
        self._dropped = 0
        self._is_closed = False
        self._index = 0
        self._in_file = 0
        self._thread = threading.Thread(target=self._run, name="trace-file", daemon=True)
        self._thread.start()

    def put(self, events: Sequence[Mapping[str, object]], log_frequency: int) -> None:
        try:
            self._waiting.put_nowait((events, log_frequency))
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._waiting.put(None)
        self._thread.join()
        if self._dropped:
            _log.warning("%d traces were dropped, as '%s' took them too slowly", self._dropped, self._file)

    def _run(self) -> None:
        while (entry := self._waiting.get()) is not None:
            try:
                self._write(*entry)
            except OSError as error:
                _log.error("failed to write a trace to '%s': %s", self._file, error.strerror)

    def _write(self, events: Sequence[Mapping[str, object]], log_frequency: int) -> None:
        text = ",".join(json.dumps(event, separators=(",", ":")) for event in events)
        if not log_frequency:
            append_to_array(self._file, text)
            return
        append_to_array(self._file.with_name(f"{self._file.name}.{self._index}"), text)
        self._in_file += 1
        if self._in_file >= log_frequency:
            self._index, self._in_file = self._index + 1, 0


def append_to_array(file: Path, elements: str) -> None:
    """Add elements to the JSON array in a file, which is whole before and after. Raises OSError."""
    with file.open("ab+") as stream:
        if stream.tell() == 0:
            stream.write(f"[{elements}]".encode())
            return
        stream.truncate(stream.tell() - 1)
        stream.write(f",{elements}]".encode())
