"""Queue, dynamic batcher and instances of models whose batches Python runs.

What runs together, where and when, who waits too long and who is refused is the native core's decision
(`_engine.SchedulerCore`), the same as of the engine's models. Whenever a request arrives or leaves, an instance becomes
free or a time is over, `_dispatch` asks it again.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from npuserve._engine import OVERLOADED, SchedulerCore
from npuserve.config.scheduling import QueuePolicy, SchedulingOptions
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from npuserve.execution.answer_order import AnswerOrder
from npuserve.execution.counters import ExecutionCounters, Stages
from npuserve.execution.open_request import AnsweredError, Execution, OpenRequest
from npuserve.observability.statistics import ModelStatistics

__all__ = ["AnsweredError", "BatchRunner", "Execution", "OpenRunner", "ScheduledExecutor", "StreamingExecutor"]

_log = logging.getLogger(__name__)


Ended = Callable[[Exception | None], None]
"""Told once when an execution is over: None, or what failed."""


class OpenRunner(Protocol):
    """One instance that answers its requests itself, when it likes and as often as the model does."""

    def run(self, batch: Sequence[OpenRequest], execution: Execution, ended: Ended) -> None:
        """Begin to run a batch, and tell `ended` when the instance can take the next one.

        Every request must be finished, now or later. A failure that `ended` is told of finishes those that are not.
        Plain calls and no tasks: with small models their turns of the loop would be most of the time. Never raises.
        """
        ...

    async def close(self) -> None:
        """Give the instance back. No request is open any more."""
        ...


class BatchRunner(Protocol):
    """One instance of a model that answers every request once."""

    async def run(self, batch: Sequence[ExecuteRequest], execution: Execution) -> Sequence[ExecuteResult | ServeError]:
        """Run a batch and return what each of its requests is answered, in order. Raises ServeError: all of it failed.

        batch: the variable inputs have equal shapes but for the rows, and the same optional inputs are there.
        execution: its instants may be set; see Execution.
        """
        ...

    async def close(self) -> None:
        """Give the instance back. Nothing runs any more."""
        ...


class Timers(Protocol):
    """Calls back at an instant."""

    def call_at(self, instant_ns: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call at an instant of `time.monotonic_ns()`, or soon if it is over."""
        ...


class _LoopTimers:
    def call_at(self, instant_ns: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        delay_s = max(0, instant_ns - time.monotonic_ns()) / 1e9
        return asyncio.get_running_loop().call_later(delay_s, callback)


class StreamingExecutor:
    """An Executor over instances that answer their requests themselves.

    signature: what the executor says of its model. runners: the instances, owned. counts_responses: whether the
    statistics tell of single responses, as for decoupled models. now_ns, timers: the clock.
    """

    def __init__(
        self,
        name: str,
        signature: ModelSignature,
        options: SchedulingOptions,
        runners: Sequence[OpenRunner],
        *,
        counts_responses: bool = False,
        now_ns: Callable[[], int] = time.monotonic_ns,
        timers: Timers | None = None,
    ) -> None:
        self._name = name
        self._signature = signature
        self._options = options
        self._core = _scheduler_core(options, len(runners))
        self._queued: dict[int, OpenRequest] = {}  # by ticket
        self._times_out = any(policy.timeout_us for policy in (options.default_policy, *options.policies.values()))
        self._compares = options.dynamic_batching and bool(options.variable_inputs or options.optional_inputs)
        self._runners = list(runners)
        self._free = len(self._runners)
        self._order = AnswerOrder() if options.preserve_ordering else None
        self._counts_responses = counts_responses
        self._now_ns = now_ns
        self._timers: Timers = timers or _LoopTimers()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._dispatch_due = False
        self._is_dispatching = False
        self._counters = ExecutionCounters()
        self._executions = 0
        self._open = 0
        self._is_stopping = False
        self._changed = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} queued={len(self._queued)} open={self._open}>"

    @property
    def signature(self) -> ModelSignature:
        """What the model says of itself."""
        return self._signature

    @property
    def sink(self) -> None:
        """None: requests come through `execute`."""
        return

    def execute(self, request: ExecuteRequest) -> Coroutine[Any, Any, ExecuteResult]:
        """Run one request; see Executor.execute. It is accepted at once; what is returned must be awaited."""
        return self._result(self._accept(request))

    async def _result(self, accepted: OpenRequest) -> ExecuteResult:
        try:
            result = await accepted.next()
        finally:
            self._leave(accepted)
        if result is None:
            raise ServeError(StatusCode.INTERNAL, f"model '{self._name}' sent no response to the request")
        return result

    async def stream(self, request: ExecuteRequest) -> AsyncGenerator[ExecuteResult, None]:
        """Yield the results of one request; see Executor.stream."""
        accepted = self._accept(request)
        try:
            while (result := await accepted.next()) is not None:
                yield result
        finally:
            self._leave(accepted)

    def statistics(self) -> ModelStatistics:
        """Return a consistent snapshot of the counters."""
        core = self._core
        return self._counters.snapshot(
            len(self._queued),
            predicted_wait_ns=core.predicted_wait_ns(self._now_ns()),
            queue_delay_ns=core.queue_delay_ns,
        )

    async def close(self) -> None:
        """Refuse new requests, complete the accepted ones, close the instances. Idempotent."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._is_stopping = True
        self._core.stop()
        self._dispatch()
        while self._open or self._free < len(self._runners):
            self._changed.clear()
            await self._changed.wait()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*(runner.close() for runner in self._runners))

    def _accept(self, request: ExecuteRequest) -> OpenRequest:
        if self._is_stopping:
            raise ServeError(
                StatusCode.UNAVAILABLE,
                "Server is stopping, scheduler for model has stopped accepting new inference requests",
            )
        parameters = request.parameters
        priority, timeout_us = self._options.check_parameters(self._name, parameters) if parameters else (0, 0)
        accepted = OpenRequest(request, self._now_ns)
        row_shape = self._row_shape(request) if self._compares else ()
        ticket = self._core.submit(accepted.arrival_ns, request.rows, row_shape, priority, timeout_us)
        if ticket < 0:
            raise self._refusal(ticket)
        accepted.ticket = ticket
        self._queued[ticket] = accepted
        self._open += 1
        if self._free or self._times_out:
            if self._options.dynamic_batching:
                self._dispatch_soon()
            else:
                self._dispatch()
        return accepted

    def _refusal(self, verdict: int) -> ServeError:
        """Count a request that the core did not take, and say why."""
        self._counters.refused(is_shed=verdict == OVERLOADED)
        if verdict != OVERLOADED:
            return ServeError(StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
        wait_ms = math.ceil(self._core.refused_wait_ns / 1e6)
        return ServeError(
            StatusCode.UNAVAILABLE,
            f"model '{self._name}' is overloaded: a request would wait about {wait_ms} ms, more than "
            "admission_max_wait_us allows",
        )

    def _row_shape(self, request: ExecuteRequest) -> tuple[int, ...]:
        """Return what must be equal among the requests of a batch: variable sizes, and which inputs are there."""
        options, shape = self._options, list[int]()
        if options.optional_inputs:
            names = {tensor.name for tensor in request.inputs}
            shape += [name in names for name in options.optional_inputs]
        for tensor in request.inputs:
            if tensor.name in options.variable_inputs:
                shape += tensor.shape[1:]
        return tuple(shape)

    def _leave(self, accepted: OpenRequest) -> None:
        """Drop what the caller does not wait for any more; a request that runs is only told."""
        if accepted.is_finished:
            return
        if accepted.execution is None:
            self._core.cancel(accepted.ticket)
            self._drop(accepted.ticket, "cancelled", ServeError(StatusCode.CANCELLED, ""))
            self._dispatch_soon()
        else:
            accepted.cancel()

    def _drop(self, ticket: int, reason: str, error: ServeError) -> None:
        """Answer a request that was taken out of the queue."""
        dropped = self._queued.pop(ticket)
        self._open -= 1
        self._counters.failed(reason, self._now_ns() - dropped.arrival_ns)
        dropped.finish(error)
        self._changed.set()

    def _dispatch_soon(self) -> None:
        """Dispatch once the loop has taken what else has arrived: it may share the batch."""
        if not self._dispatch_due:
            self._dispatch_due = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatch_due = False
        now_ns = self._now_ns()
        if self._times_out:
            for ticket in self._core.expire(now_ns):
                self._drop(ticket, "rejected", ServeError(StatusCode.UNAVAILABLE, "Request timeout expired"))
        self._is_dispatching = True
        try:
            wake_at_ns = self._start_batches(now_ns)
        finally:
            self._is_dispatching = False
        if self._times_out:
            wake_at_ns = _earlier(wake_at_ns, self._core.next_expiry_ns)
        if wake_at_ns is not None:
            self._wake_at(wake_at_ns)

    def _start_batches(self, now_ns: int) -> int | None:
        """Give the instances what they can take; return when to ask again if more will be possible by then."""
        while self._free and self._queued:
            taken = self._core.take(now_ns)
            if not isinstance(taken, tuple):
                return taken
            instance, tickets = taken
            self._start(instance, [self._queued.pop(ticket) for ticket in tickets], now_ns)
        return None

    def _wake_at(self, instant_ns: int) -> None:
        """Ask again then, unless that is done before: to ask too early does no harm."""
        if self._timer is not None:
            if self._timer_ns <= instant_ns:
                return
            self._timer.cancel()
        self._timer, self._timer_ns = self._timers.call_at(instant_ns, self._wake), instant_ns

    def _wake(self) -> None:
        self._timer = None
        self._dispatch()

    def _start(self, instance: int, batch: Sequence[OpenRequest], now_ns: int) -> None:
        self._executions += 1
        self._free -= 1
        rows = batch[0].request.rows if len(batch) == 1 else sum([each.request.rows for each in batch])
        execution = Execution(batch_id=self._executions, batch_rows=rows, start_ns=now_ns)
        for each in batch:
            each.execution = execution
            each.when_finished(self._finished)
            if self._order is not None:
                self._order.take(each)
        self._runners[instance].run(batch, execution, partial(self._ended, instance, batch, execution))

    def _ended(
        self, instance: int, batch: Sequence[OpenRequest], execution: Execution, error: Exception | None
    ) -> None:
        """Take an instance back, and give it the next batch."""
        now_ns = self._now_ns()
        if error is None:
            self._counters.executed(execution.batch_rows, _stages(execution, now_ns))
        else:
            failure = self._failure(error)
            for each in batch:
                each.finish(failure)
        self._core.ended(instance, now_ns)
        self._free += 1
        if self._is_stopping:
            self._changed.set()
        if self._queued and not self._is_dispatching:
            self._dispatch()

    def _failure(self, error: Exception) -> ServeError:
        if isinstance(error, ServeError):
            return error
        # Whatever one batch does to its instance, the others are served; the details are for the log alone.
        _log.error("unexpected error while model '%s' ran a batch", self._name, exc_info=error)
        return ServeError(StatusCode.INTERNAL, f"model '{self._name}' failed, see the server's log")

    def _finished(self, open_request: OpenRequest, error: ServeError | None) -> None:
        execution = open_request.execution
        assert execution is not None, "a request without an execution was dropped, not finished"
        self._open -= 1
        if self._is_stopping:
            self._changed.set()
        now_ns = self._now_ns()
        total_ns = now_ns - open_request.arrival_ns
        if self._options.target_p99_us:
            self._core.answered(total_ns, now_ns)
        if self._order is not None:
            self._order.finished()
        if self._counts_responses:
            self._count_responses(open_request, execution, error, now_ns)
        if error is not None and not isinstance(error, AnsweredError):
            self._counters.failed("backend", total_ns)
            return
        self._counters.succeeded(
            open_request.request.rows,
            total_ns=total_ns,
            queue_ns=execution.start_ns - open_request.arrival_ns,
            stages=_stages(execution, now_ns),
        )

    def _count_responses(
        self, open_request: OpenRequest, execution: Execution, error: ServeError | None, now_ns: int
    ) -> None:
        """Count the responses of a finished request, by their places, and what ended it."""
        previous_ns = execution.start_ns
        for index, (sent_ns, is_error) in enumerate(open_request.sent):
            self._counters.responded(
                index,
                infer_ns=sent_ns - previous_ns,
                total_ns=sent_ns - open_request.arrival_ns,
                outcome="fail" if is_error else "success",
            )
            previous_ns = sent_ns
        if open_request.sent_last:
            return
        self._counters.responded(
            len(open_request.sent),
            infer_ns=0,
            total_ns=now_ns - open_request.arrival_ns,
            outcome="empty" if error is None else "fail",
        )


class ScheduledExecutor(StreamingExecutor):
    """An Executor over instances that answer whole batches."""

    def __init__(
        self,
        name: str,
        signature: ModelSignature,
        options: SchedulingOptions,
        runners: Sequence[BatchRunner],
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
        timers: Timers | None = None,
    ) -> None:
        answering = [_Answering(name, runner) for runner in runners]
        super().__init__(name, signature, options, answering, now_ns=now_ns, timers=timers)


class _Answering:
    """Answers the requests of a batch with what a BatchRunner returns."""

    def __init__(self, name: str, runner: BatchRunner) -> None:
        self._name = name
        self._runner = runner
        self._running: asyncio.Task[None] | None = None

    def run(self, batch: Sequence[OpenRequest], execution: Execution, ended: Ended) -> None:
        self._running = asyncio.create_task(self._run(batch, execution, ended))

    async def _run(self, batch: Sequence[OpenRequest], execution: Execution, ended: Ended) -> None:
        try:
            answers = await self._runner.run([each.request for each in batch], execution)
            if len(answers) != len(batch):
                raise ServeError(
                    StatusCode.INTERNAL,
                    f"model '{self._name}' returned {len(answers)} answers to a batch of {len(batch)} requests",
                )
        except Exception as error:
            ended(error)
            return
        for each, answer in zip(batch, answers, strict=True):
            if isinstance(answer, ServeError):
                each.finish(answer)
            else:
                each.send(answer)
                each.finish()
        ended(None)

    async def close(self) -> None:
        await self._runner.close()


def _scheduler_core(options: SchedulingOptions, instances: int) -> SchedulerCore:
    return SchedulerCore(
        instances=instances,
        max_batch_size=options.max_batch_size,
        dynamic_batching=options.dynamic_batching,
        preferred_batch_sizes=options.preferred_batch_sizes,
        max_queue_delay_us=options.max_queue_delay_us,
        levels=max(1, options.levels),
        default_level=options.default_level,
        default_policy=_policy(options.default_policy),
        policies={level: _policy(policy) for level, policy in options.policies.items()},
        max_predicted_wait_us=options.max_predicted_wait_us,
        target_p99_us=options.target_p99_us,
    )


def _policy(policy: QueuePolicy) -> tuple[int, bool, bool, int]:
    return policy.timeout_us, policy.allows_override, policy.delays, policy.max_size


def _earlier(one_ns: int | None, other_ns: int | None) -> int | None:
    """Return the earlier of two instants; None is never."""
    if one_ns is None or other_ns is None:
        return other_ns if one_ns is None else one_ns
    return min(one_ns, other_ns)


def _stages(execution: Execution, now_ns: int) -> Stages:
    gathered_ns = execution.gathered_ns or execution.start_ns
    executed_ns = execution.executed_ns or now_ns
    return Stages(gathered_ns - execution.start_ns, executed_ns - gathered_ns, now_ns - executed_ns)
