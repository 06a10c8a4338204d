"""One accepted request between the caller that awaits its results and the instance that makes them."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.timing import RequestTiming


class AnsweredError(ServeError):
    """An error that is the model's own answer to a request: its execution counts as a success, as Triton counts it."""


class Execution:
    """One execution of a batch, and its instants as `time.monotonic_ns()` counts.

    gathered_ns, executed_ns: set by what runs the batch: its inputs were ready, the model had run. Left at 0, all
    of the time is the model's.
    """

    __slots__ = ("batch_id", "batch_rows", "executed_ns", "gathered_ns", "start_ns")

    def __init__(self, *, batch_id: int, batch_rows: int, start_ns: int) -> None:
        self.batch_id = batch_id
        self.batch_rows = batch_rows
        self.start_ns = start_ns
        self.gathered_ns = 0
        self.executed_ns = 0

    def timing(self, arrival_ns: int, now_ns: int) -> RequestTiming:
        """Return the instants of one of its requests that is being answered now."""
        gathered_ns = self.gathered_ns or self.start_ns
        executed_ns = self.executed_ns or now_ns
        return RequestTiming(
            batch_id=self.batch_id,
            gear=0,
            batch_rows=self.batch_rows,
            arrival_ns=arrival_ns,
            start_ns=self.start_ns,
            gathered_ns=gathered_ns,
            h2d_end_ns=gathered_ns,
            execute_end_ns=executed_ns,
            d2h_end_ns=executed_ns,
            scattered_ns=now_ns,
        )


class OpenRequest:
    """A request that was accepted and not answered yet. Used on the event loop only.

    request: what to run. now_ns: the clock. `execution` is None until an instance takes it; until then it waits under
    `ticket`. `is_held`: its results wait for those of requests before it.
    `sent` are the instants of the results so far, and whether each was an error; `sent_last`: whether one of them said
    that it is the last.
    """

    __slots__ = (
        "_error",
        "_now_ns",
        "_on_cancel",
        "_on_finish",
        "_results",
        "_waiter",
        "arrival_ns",
        "execution",
        "is_cancelled",
        "is_finished",
        "is_held",
        "request",
        "sent",
        "sent_last",
        "ticket",
    )

    def __init__(self, request: ExecuteRequest, now_ns: Callable[[], int]) -> None:
        self.request = request
        self.arrival_ns = now_ns()
        self.execution: Execution | None = None
        self.is_cancelled = False
        self.is_finished = False
        self.is_held = False
        self.ticket = 0
        self.sent: list[tuple[int, bool]] = []
        self.sent_last = False
        self._now_ns = now_ns
        self._results: deque[ExecuteResult] = deque()
        self._error: ServeError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._on_cancel: Callable[[], None] | None = None
        self._on_finish: Callable[[OpenRequest, ServeError | None], None] | None = None

    def send(self, result: ExecuteResult) -> None:
        """Hand a result to the caller, with its timing. Without effect once the request is finished."""
        if self.is_finished:
            return
        now_ns = self._now_ns()
        if self.execution is not None and result.timing is None:
            result = replace(result, timing=self.execution.timing(self.arrival_ns, now_ns))
        self.sent.append((now_ns, result.error is not None))
        self.sent_last = result.is_final
        if not self.is_cancelled:
            self._results.append(result)
            self._wake()

    def finish(self, error: ServeError | None = None) -> None:
        """Say that no result follows, or why. Without effect if it was said before."""
        if self.is_finished:
            return
        self.is_finished = True
        self._error = error
        self._wake()
        if self._on_finish is not None:
            self._on_finish(self, error)

    def cancel(self) -> None:
        """Note that nobody waits any more, and tell what runs the request."""
        self.is_cancelled = True
        if self._on_cancel is not None and not self.is_finished:
            self._on_cancel()

    def release(self) -> None:
        """Let out what was held."""
        self.is_held = False
        if self._results or self.is_finished:
            self._wake()

    def when_cancelled(self, tell: Callable[[], None]) -> None:
        """Call `tell` once if the caller gives up before the request is finished; at once if it has."""
        self._on_cancel = tell
        if self.is_cancelled:
            tell()

    def when_finished(self, tell: Callable[["OpenRequest", ServeError | None], None]) -> None:
        """Call `tell` when the request is finished, before the caller learns of it."""
        self._on_finish = tell

    async def next(self) -> ExecuteResult | None:
        """Wait for the next result; None if there is none any more. Raises ServeError."""
        while self.is_held or not self._results:
            if self.is_finished and not self.is_held:
                if self._error is not None:
                    raise self._error
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._results.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self.is_held and not self._waiter.done():
            self._waiter.set_result(None)
