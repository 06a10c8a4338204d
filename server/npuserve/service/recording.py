"""Tells an observer of one request, however it ends."""

import asyncio
import time
from types import TracebackType

from npuserve.core.errors import ServeError
from npuserve.core.request import InferenceRequest
from npuserve.core.status import StatusCode
from npuserve.core.timing import RequestTiming
from npuserve.observability.requests import FinishedRequest, RequestObserver


class Recording:
    """Runs from a request's arrival at its model until its answer is made; then the observer is told if it cares.

    timing: to be set before the end, if an execution answered.
    """

    def __init__(self, observer: RequestObserver, version: str, request: InferenceRequest) -> None:
        self._observer = observer
        self._version = version
        self._request = request
        self._started_ns = time.monotonic_ns()
        self.timing: RequestTiming | None = None

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """Tell the observer of the end."""
        ended_ns = time.monotonic_ns()
        slow_ns = self._observer.slow_ns
        if not (self._observer.wants_all or (slow_ns and ended_ns - self._started_ns > slow_ns)):
            return
        status, message = _outcome(error)
        self._observer.observe(
            FinishedRequest(
                model=self._request.model,
                version=self._version,
                id=self._request.id,
                front_end=self._request.front_end,
                status=status,
                message=message,
                started_ns=self._started_ns,
                ended_ns=ended_ns,
                timing=self.timing,
                trace_parent=self._request.trace_parent,
            )
        )


def _outcome(error: BaseException | None) -> tuple[StatusCode, str]:
    match error:
        case None:
            return StatusCode.OK, ""
        case ServeError():
            return error.status, error.message
        case asyncio.CancelledError() | GeneratorExit():
            return StatusCode.CANCELLED, ""
        case _:
            return StatusCode.INTERNAL, "unexpected error"
