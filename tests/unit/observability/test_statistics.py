from npuserve.observability.statistics import (
    BatchStatistics,
    Duration,
    Failures,
    ModelStatistics,
    ResponseStatistics,
    merged,
)


def batch(size: int, count: int) -> BatchStatistics:
    return BatchStatistics(size, Duration(count, 1), Duration(count, 2), Duration(count, 3))


def test_the_counters_of_instances_add_up() -> None:
    first = ModelStatistics(
        last_inference_ms=5,
        inference_count=3,
        execution_count=2,
        success=Duration(3, 30),
        failures=Failures(backend=1),
        batches=(batch(1, 1), batch(2, 1)),
        responses=(ResponseStatistics(success=Duration(1, 1)),),
        pending=2,
    )
    second = ModelStatistics(
        last_inference_ms=9,
        inference_count=1,
        execution_count=1,
        success=Duration(1, 5),
        failures=Failures(backend=2, rejected=1),
        batches=(batch(2, 4),),
        responses=(ResponseStatistics(success=Duration(1, 2)), ResponseStatistics(fail=Duration(1, 7))),
        padded_rows=3,
    )
    total = merged([first, second])
    assert (total.last_inference_ms, total.inference_count, total.execution_count) == (9, 4, 3)
    assert (total.success, total.failures) == (Duration(4, 35), Failures(backend=3, rejected=1))
    assert total.batches == (batch(1, 1), BatchStatistics(2, Duration(5, 2), Duration(5, 4), Duration(5, 6)))
    assert [response.success for response in total.responses] == [Duration(2, 3), Duration()]
    assert total.responses[1].fail == Duration(1, 7)
    assert (total.pending, total.padded_rows) == (2, 3)


def test_one_instance_is_the_whole_and_none_is_nothing() -> None:
    assert merged([ModelStatistics(inference_count=3)]) == ModelStatistics(inference_count=3)
    assert merged([]) == ModelStatistics()
