"""Counters of one model version, with Triton's meanings (statistics extension)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest


@dataclass(frozen=True, slots=True)
class Duration:
    """How often something happened and how long it took in all, in nanoseconds."""

    count: int = 0
    ns: int = 0


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """Executions of one batch size; durations are per execution."""

    batch_size: int
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseStatistics:
    """What became of the responses of one place (0, 1, ...) within their requests, for decoupled models."""

    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    empty_response: Duration = field(default_factory=Duration)
    cancel: Duration = field(default_factory=Duration)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How many requests failed, by Triton's reasons (`nv_inference_request_failure`).

    rejected: refused by a full queue, which is not in `ModelStatistics.fail`, or timed out in it. cancelled: given up
    while queued. backend: the model answered an error.
    """

    rejected: int = 0
    cancelled: int = 0
    backend: int = 0
    other: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GearStatistics:
    """Where the work of one gear's executions went, in tokens.

    A token is one position of the model's variable length, of one row; of a model without one, a row. The five counts
    sum to `executions` times the tokens that the gear holds. useful: of requests that got their answer. padding: beyond
    a request's own length. cancelled, expired: of requests that nobody waited for any more. empty: of rows that were no
    request's. cost_ns: what one execution took when the model was warmed up; 0 if it was not measured.
    """

    gear: str
    executions: int = 0
    useful: int = 0
    padding: int = 0
    cancelled: int = 0
    expired: int = 0
    empty: int = 0
    cost_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatistics:
    """A consistent snapshot of a model version's counters.

    `inference_count` counts rows, `execution_count` executions; `last_inference_ms` is wall-clock milliseconds since
    the epoch, 0 if never. In the request durations each request is charged its whole batch's compute time.
    `success` includes cache hits. `pending` requests are accepted and not taken by an instance.
    `padded_rows` were executed beyond the requests' own (`inference_count` has those). `shed` requests were refused
    because they would have waited too long; they are among the rejected and not in `fail`.
    `lengths`: of the answered rows, their own lengths (the first variable dimension), each with how many; ascending.
    `predicted_wait_ns`: how long a request that came now would wait. `queue_delay_ns`: how long a batch is held for
    more at present. `nonfinite_rows`: of answers that had NaN or infinity in them, if that is looked for.
    """

    last_inference_ms: int = 0
    inference_count: int = 0
    execution_count: int = 0
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    compute_input: Duration = field(default_factory=Duration)
    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)
    batches: tuple[BatchStatistics, ...] = ()
    cache_hit: Duration = field(default_factory=Duration)
    cache_miss: Duration = field(default_factory=Duration)
    failures: Failures = field(default_factory=Failures)
    responses: tuple[ResponseStatistics, ...] = ()
    pending: int = 0
    padded_rows: int = 0
    shed: int = 0
    gears: tuple[GearStatistics, ...] = ()
    lengths: tuple[tuple[int, int], ...] = ()
    predicted_wait_ns: int = 0
    queue_delay_ns: int = 0
    nonfinite_rows: int = 0


def merged(parts: Sequence[ModelStatistics]) -> ModelStatistics:
    """Return the counters of several instances as those of one model."""
    return ModelStatistics(
        last_inference_ms=max((part.last_inference_ms for part in parts), default=0),
        inference_count=sum(part.inference_count for part in parts),
        execution_count=sum(part.execution_count for part in parts),
        success=_total(part.success for part in parts),
        fail=_total(part.fail for part in parts),
        queue=_total(part.queue for part in parts),
        compute_input=_total(part.compute_input for part in parts),
        compute_infer=_total(part.compute_infer for part in parts),
        compute_output=_total(part.compute_output for part in parts),
        batches=_merged_batches([batch for part in parts for batch in part.batches]),
        cache_hit=_total(part.cache_hit for part in parts),
        cache_miss=_total(part.cache_miss for part in parts),
        failures=Failures(
            rejected=sum(part.failures.rejected for part in parts),
            cancelled=sum(part.failures.cancelled for part in parts),
            backend=sum(part.failures.backend for part in parts),
            other=sum(part.failures.other for part in parts),
        ),
        responses=tuple(
            _merged_responses(place)
            for place in zip_longest(*(part.responses for part in parts), fillvalue=ResponseStatistics())
        ),
        pending=sum(part.pending for part in parts),
        padded_rows=sum(part.padded_rows for part in parts),
        shed=sum(part.shed for part in parts),
        gears=_merged_gears([gear for part in parts for gear in part.gears]),
        lengths=_merged_lengths([length for part in parts for length in part.lengths]),
        predicted_wait_ns=max((part.predicted_wait_ns for part in parts), default=0),
        queue_delay_ns=max((part.queue_delay_ns for part in parts), default=0),
        nonfinite_rows=sum(part.nonfinite_rows for part in parts),
    )


def _total(durations: Iterable[Duration]) -> Duration:
    known = list(durations)
    return Duration(sum(duration.count for duration in known), sum(duration.ns for duration in known))


def _merged_batches(batches: Sequence[BatchStatistics]) -> tuple[BatchStatistics, ...]:
    return tuple(
        BatchStatistics(
            size,
            _total(batch.compute_input for batch in batches if batch.batch_size == size),
            _total(batch.compute_infer for batch in batches if batch.batch_size == size),
            _total(batch.compute_output for batch in batches if batch.batch_size == size),
        )
        for size in sorted({batch.batch_size for batch in batches})
    )


def _merged_gears(gears: Sequence[GearStatistics]) -> tuple[GearStatistics, ...]:
    """Return the counts of each gear, in the order of the first part; its cost is the highest that was measured."""
    names = dict.fromkeys(gear.gear for gear in gears)
    return tuple(_merged_gear(name, [gear for gear in gears if gear.gear == name]) for name in names)


def _merged_gear(name: str, parts: Sequence[GearStatistics]) -> GearStatistics:
    return GearStatistics(
        gear=name,
        executions=sum(part.executions for part in parts),
        useful=sum(part.useful for part in parts),
        padding=sum(part.padding for part in parts),
        cancelled=sum(part.cancelled for part in parts),
        expired=sum(part.expired for part in parts),
        empty=sum(part.empty for part in parts),
        cost_ns=max(part.cost_ns for part in parts),
    )


def _merged_lengths(lengths: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    rows: Counter[int] = Counter()
    for length, count in lengths:
        rows[length] += count
    return tuple(sorted(rows.items()))


def _merged_responses(responses: Sequence[ResponseStatistics]) -> ResponseStatistics:
    return ResponseStatistics(
        compute_infer=_total(response.compute_infer for response in responses),
        compute_output=_total(response.compute_output for response in responses),
        success=_total(response.success for response in responses),
        fail=_total(response.fail for response in responses),
        empty_response=_total(response.empty_response for response in responses),
        cancel=_total(response.cancel for response in responses),
    )
