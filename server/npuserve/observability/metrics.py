"""The metrics of the models that Triton has too: its names, labels and units."""

from collections.abc import Callable, Mapping, Sequence

from npuserve.observability.accuracy import accuracy_families
from npuserve.observability.batches import batch_families
from npuserve.observability.exposition import Family, Sample, histogram
from npuserve.observability.latencies import Summary
from npuserve.observability.snapshot import ModelSnapshot, Value, per_model
from npuserve.observability.statistics import Duration, ModelStatistics
from npuserve.observability.work import work_families


def _us(duration: Callable[[ModelStatistics], Duration]) -> Value:
    return lambda model: duration(model.statistics).ns // 1000


_COUNTS: tuple[tuple[str, str, Value], ...] = (
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
_DURATIONS: tuple[tuple[str, str, Value], ...] = (
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
_CACHE: tuple[tuple[str, str, Value], ...] = (
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
        *batch_families(models),
        *work_families(models),
        *accuracy_families(models),
        *_first_responses(models),
        *_summaries(models, quantiles),
    ]


def _successes(models: Sequence[ModelSnapshot]) -> Family:
    return per_model(
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


def _counters(table: Sequence[tuple[str, str, Value]], models: Sequence[ModelSnapshot]) -> list[Family]:
    return [per_model(name, "counter", text, models, value) for name, text, value in table]


def _gauges(models: Sequence[ModelSnapshot]) -> list[Family]:
    return [
        per_model(
            "nv_inference_pending_request_count",
            "gauge",
            "Instantaneous number of pending requests awaiting execution per-model.",
            models,
            lambda model: model.statistics.pending,
        ),
        per_model(
            "nv_model_load_duration_secs",
            "gauge",
            "Model load time in seconds",
            models,
            lambda model: model.load_seconds,
        ),
    ]


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
