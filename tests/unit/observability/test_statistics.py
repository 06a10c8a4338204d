from dataclasses import fields, replace

from npuserve.observability.statistics import (
    BatchStatistics,
    Duration,
    Failures,
    GearStatistics,
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


def test_the_work_of_instances_adds_up_by_gear_and_by_length() -> None:
    small = GearStatistics(gear="1x16", executions=2, useful=20, padding=12, cost_ns=500)
    large = GearStatistics(gear="4x16", executions=1, useful=30, cancelled=10, expired=8, empty=16, cost_ns=900)
    first = ModelStatistics(gears=(small, large), lengths=((3, 2), (16, 1)), shed=1, predicted_wait_ns=70)
    second = ModelStatistics(
        gears=(replace(small, cost_ns=600),), lengths=((5, 1), (16, 4)), shed=2, predicted_wait_ns=50, queue_delay_ns=9
    )
    total = merged([first, second])
    assert total.gears == (
        GearStatistics(gear="1x16", executions=4, useful=40, padding=24, cost_ns=600),
        large,
    )
    assert total.lengths == ((3, 2), (5, 1), (16, 5))
    assert (total.shed, total.predicted_wait_ns, total.queue_delay_ns) == (3, 70, 9)


def test_nothing_of_one_instance_is_lost() -> None:
    full = ModelStatistics(
        last_inference_ms=1,
        inference_count=2,
        execution_count=3,
        success=Duration(4, 1),
        fail=Duration(5, 1),
        queue=Duration(6, 1),
        compute_input=Duration(7, 1),
        compute_infer=Duration(8, 1),
        compute_output=Duration(9, 1),
        batches=(batch(2, 4),),
        cache_hit=Duration(10, 1),
        cache_miss=Duration(11, 1),
        failures=Failures(rejected=1, cancelled=2, backend=3, other=4),
        responses=(ResponseStatistics(cancel=Duration(1, 1)),),
        pending=12,
        padded_rows=13,
        shed=14,
        gears=(GearStatistics(gear="8", executions=1, useful=8),),
        lengths=((7, 1),),
        predicted_wait_ns=15,
        queue_delay_ns=16,
        nonfinite_rows=17,
    )
    assert not any(getattr(full, each.name) == getattr(ModelStatistics(), each.name) for each in fields(full))
    assert merged([full]) == full


def test_one_instance_is_the_whole_and_none_is_nothing() -> None:
    assert merged([ModelStatistics(inference_count=3)]) == ModelStatistics(inference_count=3)
    assert merged([]) == ModelStatistics()
