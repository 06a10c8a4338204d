"""What is told of each finished request: to the request log, the slow-request log, the trace file, OpenTelemetry."""

from dataclasses import dataclass
from typing import Protocol

from npuserve.core.status import StatusCode
from npuserve.core.timing import RequestTiming


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRequest:
    """One request that a front end has an answer for.

    front_end: `grpc` or `http`. started_ns, ended_ns: when it was received whole and when its answer was made, as
    `time.monotonic_ns()` counts. timing: None if no execution answered it. trace_parent: the client's W3C
    `traceparent` header, "" if there was none.
    """

    model: str
    version: str
    id: str
    front_end: str
    status: StatusCode
    message: str
    started_ns: int
    ended_ns: int
    timing: RequestTiming | None = None
    trace_parent: str = ""


class RequestObserver(Protocol):
    """Is told of finished requests. Called on the event loop; must not block, must not raise."""

    @property
    def wants_all(self) -> bool:
        """Whether every request must be told of, not only slow ones."""
        ...

    @property
    def slow_ns(self) -> int:
        """Requests that took longer are always told of; 0: none for their slowness alone."""
        ...

    def observe(self, request: FinishedRequest) -> None:
        """Take note of a finished request."""
        ...
