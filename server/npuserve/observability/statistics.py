"""Counters of one model version, with Triton's meanings (statistics extension)."""

from dataclasses import dataclass, field


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
class ModelStatistics:
    """A consistent snapshot of a model version's counters.

    `inference_count` counts rows, `execution_count` executions; `last_inference_ms` is wall-clock milliseconds since
    the epoch, 0 if never. In the request durations each request is charged its whole batch's compute time.
    `success` includes cache hits. `pending` requests are accepted and not taken by an instance.
    `padded_rows` were executed beyond the requests' own (`inference_count` has those).
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
