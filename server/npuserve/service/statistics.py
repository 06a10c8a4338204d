"""ModelStatistics: the counters of loaded versions, in nanoseconds."""

from npuserve._proto import inference_pb2 as pb
from npuserve.observability.statistics import BatchStatistics, Duration, ModelStatistics, ResponseStatistics
from npuserve.repository.registry import ModelRegistry
from npuserve.service.call import Call


class StatisticsService:
    """Answers with the counters that the executors of a registry keep."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry

    async def model_statistics(self, request: pb.ModelStatisticsRequest, call: Call) -> pb.ModelStatisticsResponse:
        """Return the counters of one version, of a model's ready versions, or of all. Raises ServeError."""
        chosen = self._registry.select_for_statistics(request.name, request.version)
        return pb.ModelStatisticsResponse(
            model_stats=[_statistics(loaded.name, loaded.version, loaded.executor.statistics()) for loaded in chosen]
        )


def _statistics(name: str, version: int, counters: ModelStatistics) -> pb.ModelStatistics:
    return pb.ModelStatistics(
        name=name,
        version=str(version),
        last_inference=counters.last_inference_ms,
        inference_count=counters.inference_count,
        execution_count=counters.execution_count,
        inference_stats=pb.InferStatistics(
            success=_duration(counters.success),
            fail=_duration(counters.fail),
            queue=_duration(counters.queue),
            compute_input=_duration(counters.compute_input),
            compute_infer=_duration(counters.compute_infer),
            compute_output=_duration(counters.compute_output),
            cache_hit=_duration(counters.cache_hit),
            cache_miss=_duration(counters.cache_miss),
        ),
        response_stats={str(place): _response(response) for place, response in enumerate(counters.responses)},
        batch_stats=[_batch(batch) for batch in sorted(counters.batches, key=lambda batch: batch.batch_size)],
    )


def _batch(batch: BatchStatistics) -> pb.InferBatchStatistics:
    return pb.InferBatchStatistics(
        batch_size=batch.batch_size,
        compute_input=_duration(batch.compute_input),
        compute_infer=_duration(batch.compute_infer),
        compute_output=_duration(batch.compute_output),
    )


def _response(response: ResponseStatistics) -> pb.InferResponseStatistics:
    return pb.InferResponseStatistics(
        compute_infer=_duration(response.compute_infer),
        compute_output=_duration(response.compute_output),
        success=_duration(response.success),
        fail=_duration(response.fail),
        empty_response=_duration(response.empty_response),
        cancel=_duration(response.cancel),
    )


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=duration.ns)
