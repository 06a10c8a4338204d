"""Counts what a model whose batches Python runs does, with Triton's meanings (statistics extension)."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from npuserve.observability.statistics import BatchStatistics, Duration, Failures, ModelStatistics, ResponseStatistics


@dataclass(slots=True)
class _Sum:
    count: int = 0
    ns: int = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += max(0, ns)

    def snapshot(self) -> Duration:
        return Duration(self.count, self.ns)


@dataclass(slots=True)
class _Compute:
    input: _Sum = field(default_factory=_Sum)
    infer: _Sum = field(default_factory=_Sum)
    output: _Sum = field(default_factory=_Sum)

    def add(self, stages: "Stages") -> None:
        self.input.add(stages.input_ns)
        self.infer.add(stages.infer_ns)
        self.output.add(stages.output_ns)


@dataclass(slots=True)
class _Responses:
    compute: _Compute = field(default_factory=_Compute)
    success: _Sum = field(default_factory=_Sum)
    fail: _Sum = field(default_factory=_Sum)
    empty: _Sum = field(default_factory=_Sum)


@dataclass(frozen=True, slots=True)
class Stages:
    """How long an execution took in its stages, in nanoseconds."""

    input_ns: int
    infer_ns: int
    output_ns: int


class ExecutionCounters:
    """The counters of one model. Used on the event loop only.

    wall_clock_s: the time since the epoch.
    """

    def __init__(self, wall_clock_s: Callable[[], float] = time.time) -> None:
        self._wall_clock_s = wall_clock_s
        self._last_inference_ms = 0
        self._inferences = 0
        self._executions = 0
        self._success, self._fail, self._queue = _Sum(), _Sum(), _Sum()
        self._compute = _Compute()
        self._batches: dict[int, _Compute] = {}
        self._shed = 0
        self._failures: Counter[str] = Counter()
        self._responses: list[_Responses] = []

    def executed(self, rows: int, stages: Stages) -> None:
        """Count an execution of a batch of so many rows."""
        self._executions += 1
        self._last_inference_ms = int(self._wall_clock_s() * 1000)
        self._batches.setdefault(rows, _Compute()).add(stages)

    def succeeded(self, rows: int, *, total_ns: int, queue_ns: int, stages: Stages) -> None:
        """Count an answered request. It is charged with its whole batch's stages."""
        self._inferences += rows
        self._success.add(total_ns)
        self._queue.add(queue_ns)
        self._compute.add(stages)

    def failed(self, reason: str, total_ns: int) -> None:
        """Count a request that failed after it was accepted. reason: a field of Failures."""
        self._fail.add(total_ns)
        self._failures[reason] += 1

    def refused(self, *, is_shed: bool) -> None:
        """Count a request that was not queued: as a rejection, and not among the failed ones.

        is_shed: whether it would have waited too long; else its queue was full.
        """
        self._failures["rejected"] += 1
        self._shed += is_shed

    def responded(self, index: int, *, infer_ns: int, total_ns: int, outcome: str) -> None:
        """Count a response of a decoupled model, the `index`-th of its request.

        outcome: `success`, `fail`, or `empty` for a last one that says only that it is the last.
        """
        while len(self._responses) <= index:
            self._responses.append(_Responses())
        counted = self._responses[index]
        if outcome == "success":
            counted.compute.infer.add(infer_ns)
            counted.compute.output.add(0)
        {"success": counted.success, "fail": counted.fail, "empty": counted.empty}[outcome].add(total_ns)

    def snapshot(self, pending: int, *, predicted_wait_ns: int, queue_delay_ns: int) -> ModelStatistics:
        """Return all counters. pending: requests that wait for an instance; the rest see ModelStatistics."""
        return ModelStatistics(
            last_inference_ms=self._last_inference_ms,
            inference_count=self._inferences,
            execution_count=self._executions,
            success=self._success.snapshot(),
            fail=self._fail.snapshot(),
            queue=self._queue.snapshot(),
            compute_input=self._compute.input.snapshot(),
            compute_infer=self._compute.infer.snapshot(),
            compute_output=self._compute.output.snapshot(),
            batches=tuple(
                BatchStatistics(rows, each.input.snapshot(), each.infer.snapshot(), each.output.snapshot())
                for rows, each in sorted(self._batches.items())
            ),
            failures=Failures(**self._failures),
            responses=tuple(_response_statistics(each) for each in self._responses),
            pending=pending,
            shed=self._shed,
            predicted_wait_ns=predicted_wait_ns,
            queue_delay_ns=queue_delay_ns,
        )


def _response_statistics(counted: _Responses) -> ResponseStatistics:
    return ResponseStatistics(
        compute_infer=counted.compute.infer.snapshot(),
        compute_output=counted.compute.output.snapshot(),
        success=counted.success.snapshot(),
        fail=counted.fail.snapshot(),
        empty_response=counted.empty.snapshot(),
    )
