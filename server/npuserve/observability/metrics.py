"""The metrics of the models: Triton's names, labels and units, and ours for what batching wastes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from npuserve.observability.exposition import Family, Sample, histogram
from npuserve.observability.latencies import FirstResponses, Summary
from npuserve.observability.statistics import Duration, ModelStatistics

_BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_WASTE_BOUNDS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSnapshot:
    """What is known of a ready model version at one instant.

    tags: the config's `metric_tags`. has_cache: whether the model asks for the response cache. gear_rows: the batch
    sizes that are compiled, ascending; empty if batches are not padded.
    summaries, first_responses: None where they are not kept.
    """

    model: str
    version: str
    statistics: ModelStatistics
    tags: Mapping[str, str] = field(default_factory=dict)
    has_cache: bool = False
    load_seconds: float = 0.0
    gear_rows: tuple[int, ...] = ()
    summaries: Mapping[str, Summary] | None = None
    first_responses: FirstResponses | None = None

    @property
    def labels(self) -> dict[str, str]:
        """The labels of all its samples."""
        return {"model": self.model, "version": self.version} | {f"_{key}": text for key, text in self.tags.items()}


_Value = Callable[[ModelSnapshot], float]


def _us(duration: Callable[[ModelStatistics], Duration]) -> _Value:
    return lambda model: duration(model.statistics).ns // 1000


_COUNTS: tuple[tuple[str, str, _Value], ...] = (
    (
        "nv_inference_count",
        "Number of inferences performed (does not include cached requests)",
        lambda model: model.statistics.inference_count,
    ),
    (
        "nv_inference_exec_count",
        "Number of model executions performed (does not include cached requests)",
        lambda model: model.statistics.execution_count,
    ),
)
_DURATIONS: tuple[tuple[str, str, _Value], ...] = (
    (
        "nv_inference_request_duration_us",
        "Cumulative inference request duration in microseconds (includes cached requests)",
        _us(lambda counters: counters.success),
    ),
    (
        "nv_inference_queue_duration_us",
        "Cumulative inference queuing duration in microseconds (includes cached requests)",
        _us(lambda counters: counters.queue),
    ),
    (
        "nv_inference_compute_input_duration_us",
        "Cumulative compute input duration in microseconds (does not include cached requests)",
        _us(lambda counters: counters.compute_input),
    ),
    (
        "nv_inference_compute_infer_duration_us",
        "Cumulative compute inference duration in microseconds (does not include cached requests)",
        _us(lambda counters: counters.compute_infer),
    ),
    (
        "nv_inference_compute_output_duration_us",
        "Cumulative inference compute output duration in microseconds (does not include cached requests)",
        _us(lambda counters: counters.compute_output),
    ),
)
_CACHE: tuple[tuple[str, str, _Value], ...] = (
    (
        "nv_cache_num_hits_per_model",
        "Number of cache hits per model",
        lambda model: model.statistics.cache_hit.count,
    ),
    (
        "nv_cache_num_misses_per_model",
        "Number of cache misses per model",
        lambda model: model.statistics.cache_miss.count,
    ),
    (
        "nv_cache_hit_duration_per_model",
        "Total cache hit duration per model, in microseconds",
        _us(lambda counters: counters.cache_hit),
    ),
    (
        "nv_cache_miss_duration_per_model",
        "Total cache miss duration per model, in microseconds",
        _us(lambda counters: counters.cache_miss),
    ),
)
_SUMMARIES = {
    "request": "Summary of inference request duration in microseconds (includes cached requests)",
    "queue": "Summary of inference queuing duration in microseconds (includes cached requests)",
    "compute_input": "Summary of compute input duration in microseconds (does not include cached requests)",
    "compute_infer": "Summary of compute inference duration in microseconds (does not include cached requests)",
    "compute_output": "Summary of inference compute output duration in microseconds (does not include cached requests)",
}


def model_families(
    models: Sequence[ModelSnapshot], *, durations: bool = True, quantiles: Sequence[float] = ()
) -> list[Family]:
    """Return the families of all models.

    durations: whether the cumulative ones are told. quantiles: which of them the summaries tell.
    """
    cached = [model for model in models if model.has_cache]
    return [
        _successes(models),
        _failures(models),
        *_counters(_COUNTS, models),
        *(_counters(_DURATIONS, models) if durations else ()),
        *_counters(_CACHE, cached),
        *_gauges(models),
        *_batches(models),
        *_first_responses(models),
        *_summaries(models, quantiles),
    ]


def _successes(models: Sequence[ModelSnapshot]) -> Family:
    return _family(
        "nv_inference_request_success",
        "counter",
        "Number of successful inference requests, all batch sizes",
        models,
        lambda model: model.statistics.success.count,
    )


def _failures(models: Sequence[ModelSnapshot]) -> Family:
    return Family(
        name="nv_inference_request_failure",
        kind="counter",
        help="Number of failed inference requests, all batch sizes",
        samples=[
            Sample(model.labels | {"reason": reason}, count)
            for model in models
            for reason, count in (
                ("REJECTED", model.statistics.failures.rejected),
                ("CANCELED", model.statistics.failures.cancelled),
                ("BACKEND", model.statistics.failures.backend),
                ("OTHER", model.statistics.failures.other),
            )
        ],
    )


def _family(name: str, kind: str, text: str, models: Sequence[ModelSnapshot], value: _Value) -> Family:
    return Family(name=name, kind=kind, help=text, samples=[Sample(model.labels, value(model)) for model in models])


def _counters(table: Sequence[tuple[str, str, _Value]], models: Sequence[ModelSnapshot]) -> list[Family]:
    return [_family(name, "counter", text, models, value) for name, text, value in table]


def _gauges(models: Sequence[ModelSnapshot]) -> list[Family]:
    return [
        _family(
            "nv_inference_pending_request_count",
            "gauge",
            "Instantaneous number of pending requests awaiting execution per-model.",
            models,
            lambda model: model.statistics.pending,
        ),
        _family(
            "nv_model_load_duration_secs",
            "gauge",
            "Model load time in seconds",
            models,
            lambda model: model.load_seconds,
        ),
    ]


def _batches(models: Sequence[ModelSnapshot]) -> list[Family]:
    """Return how full batches were: their sizes, and how much of what ran was padding."""
    return [
        Family(
            name="npu_batch_size",
            kind="histogram",
            help="Rows of requests in an execution",
            samples=[sample for model in models for sample in _batch_sizes(model)],
        ),
        Family(
            name="npu_padding_waste_ratio",
            kind="histogram",
            help="Share of padding in the batch dimension of an execution",
            samples=[sample for model in models if model.gear_rows for sample in _waste(model)],
        ),
        _family(
            "npu_padded_rows",
            "counter",
            "Number of rows executed beyond those of requests",
            models,
            lambda model: model.statistics.padded_rows,
        ),
        _family(
            "npu_slot_occupancy_ratio",
            "gauge",
            "Share of the executed rows that were requests' own, since the model was loaded",
            models,
            _occupancy,
        ),
    ]


def _occupancy(model: ModelSnapshot) -> float:
    own = model.statistics.inference_count
    executed = own + model.statistics.padded_rows
    return own / executed if executed else 0.0


def _batch_sizes(model: ModelSnapshot) -> list[Sample]:
    sizes = [(float(batch.batch_size), batch.compute_infer.count) for batch in model.statistics.batches]
    return _histogram(model.labels, _BATCH_BOUNDS, sizes)


def _waste(model: ModelSnapshot) -> list[Sample]:
    """Return a histogram of the padding in each execution, which ran in the least gear that held its rows."""
    found = []
    for batch in model.statistics.batches:
        gear = next((rows for rows in model.gear_rows if rows >= batch.batch_size), batch.batch_size)
        found.append(((gear - batch.batch_size) / gear if gear else 0.0, batch.compute_infer.count))
    return _histogram(model.labels, _WASTE_BOUNDS, found)


def _histogram(labels: Mapping[str, str], bounds: Sequence[float], values: Sequence[tuple[float, int]]) -> list[Sample]:
    """Return the histogram of values, each with how often it was observed."""
    counts = [0] * (len(bounds) + 1)
    for value, count in values:
        counts[sum(bound < value for bound in bounds)] += count
    return histogram(labels, bounds, counts, sum(value * count for value, count in values))


def _first_responses(models: Sequence[ModelSnapshot]) -> list[Family]:
    return [
        Family(
            name="nv_inference_first_response_histogram_ms",
            kind="histogram",
            help="Duration from request to first response in milliseconds",
            samples=[
                sample
                for model in models
                if (found := model.first_responses) is not None
                for sample in histogram(model.labels, found.bounds_ms, found.counts, found.total_ms)
            ],
        )
    ]


def _summaries(models: Sequence[ModelSnapshot], quantiles: Sequence[float]) -> list[Family]:
    families = []
    for stage, text in _SUMMARIES.items():
        samples = [
            sample
            for model in models
            if model.summaries is not None and not (model.has_cache and stage == "request")
            for sample in _summary(model.labels, model.summaries[stage], quantiles)
        ]
        families.append(Family(name=f"nv_inference_{stage}_summary_us", kind="summary", help=text, samples=samples))
    return families


def _summary(labels: Mapping[str, str], summary: Summary, quantiles: Sequence[float]) -> list[Sample]:
    return [
        Sample(labels, summary.count, "_count"),
        Sample(labels, summary.total_us, "_sum"),
        *(Sample(labels, summary.quantile(share), "", ("quantile", f"{share:g}")) for share in quantiles),
    ]
