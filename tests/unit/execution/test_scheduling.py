"""The Python-side scheduler: what runs together and when, and what is refused, counted and closed."""

import asyncio

import pytest
from npuserve.config.scheduling import QueuePolicy, SchedulingOptions
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteResult
from npuserve.core.status import StatusCode
from npuserve.execution.scheduling import AnsweredError
from support.scheduling import MS, Scene, dynamic, execute, request, settle


async def test_without_dynamic_batching_each_request_is_an_execution_of_its_own() -> None:
    scene = Scene(SchedulingOptions(max_batch_size=8))
    await scene.ask(3, rows=2)
    await scene.end_all()
    assert scene.sizes == [2, 2, 2]


async def test_requests_that_arrive_while_the_instance_is_busy_share_batches_of_the_largest_size() -> None:
    scene = Scene(dynamic())
    await scene.ask(1)
    await scene.ask(19)
    await scene.end_all()
    assert scene.sizes == [1, 8, 8, 3]


async def test_preferred_sizes_are_kept_and_the_rest_goes_as_it_is_without_a_delay() -> None:
    scene = Scene(dynamic(preferred_batch_sizes=(4,)))
    await scene.ask(1)
    await scene.ask(7)
    await scene.end_all()
    assert scene.sizes == [1, 4, 3]


async def test_a_batch_waits_for_its_delay_and_goes_when_it_is_over() -> None:
    scene = Scene(dynamic(max_queue_delay_us=100_000))
    await scene.ask(3)
    await scene.clock.advance(99 * MS)
    assert scene.sizes == []
    await scene.clock.advance(1 * MS)
    assert scene.sizes == [3]


async def test_a_full_batch_does_not_wait_for_its_delay() -> None:
    scene = Scene(dynamic(max_queue_delay_us=100_000))
    await scene.ask(9)
    assert scene.sizes == [8]
    await scene.clock.advance(100 * MS)
    await scene.end_all()
    assert scene.sizes == [8, 1]


async def test_instances_run_at_the_same_time_and_each_one_batch_only() -> None:
    scene = Scene(SchedulingOptions(), instances=2)
    await scene.ask(3)
    assert [len(instance.running) for instance in scene.instances] == [1, 1]
    await scene.instances[1].running[0].end()
    assert [len(instance.running) for instance in scene.instances] == [1, 2]


async def test_only_equal_shapes_of_variable_inputs_share_a_batch() -> None:
    scene = Scene(dynamic(variable_inputs=frozenset({"I"})))
    await scene.ask(1)
    await scene.ask(2, shape=(5,))
    await scene.ask(1, shape=(6,))
    await scene.ask(1, shape=(5,))
    await scene.end_all()
    assert scene.sizes == [1, 2, 1, 1]


async def test_shapes_of_fixed_inputs_are_not_compared() -> None:
    scene = Scene(dynamic())
    await scene.ask(1)
    await scene.ask(1, shape=(5,))
    await scene.ask(1, shape=(6,))
    await scene.end_all()
    assert scene.sizes == [1, 2]


async def test_requests_with_other_optional_inputs_do_not_share_a_batch() -> None:
    scene = Scene(dynamic(optional_inputs=("J",)))
    await scene.ask(1)
    await scene.ask(2)
    await scene.ask(2, inputs=("I", "J"))
    await scene.end_all()
    assert scene.sizes == [1, 2, 2]


async def test_each_request_gets_its_own_answer_with_the_instants_of_its_batch() -> None:
    scene = Scene(dynamic())
    await scene.ask(2)
    running = scene.batches[0]
    scene.clock.now += 3 * MS
    running.execution.gathered_ns = scene.clock.now
    scene.clock.now += 5 * MS
    running.execution.executed_ns = scene.clock.now
    scene.clock.now += 7 * MS
    await running.end(ExecuteResult(outputs=(), parameters={"n": 1}), ExecuteResult(outputs=(), parameters={"n": 2}))
    results = [await task for task in scene.asked]
    assert [result.parameters for result in results] == [{"n": 1}, {"n": 2}]
    timing = results[1].timing
    assert timing is not None
    assert (timing.batch_id, timing.batch_rows) == (1, 2)
    assert timing.gathered_ns - timing.start_ns == 3 * MS
    assert timing.execute_end_ns - timing.gathered_ns == 5 * MS
    assert timing.scattered_ns - timing.d2h_end_ns == 7 * MS


async def test_statistics_charge_each_request_with_its_whole_batch() -> None:
    scene = Scene(dynamic())
    await scene.ask(1)
    await scene.ask(2, rows=2)
    scene.clock.now += 10 * MS
    assert scene.executor.statistics().pending == 2
    await scene.batches[0].end()
    running = scene.batches[1]
    running.execution.gathered_ns = scene.clock.now
    scene.clock.now += 5 * MS
    running.execution.executed_ns = scene.clock.now
    await running.end()
    statistics = scene.executor.statistics()
    assert (statistics.inference_count, statistics.execution_count, statistics.pending) == (5, 2, 0)
    assert (statistics.success.count, statistics.success.ns) == (3, (10 + 15 + 15) * MS)
    assert (statistics.queue.count, statistics.queue.ns) == (3, 20 * MS)
    assert (statistics.compute_infer.count, statistics.compute_infer.ns) == (3, (10 + 5 + 5) * MS)
    assert [(each.batch_size, each.compute_infer.count) for each in statistics.batches] == [(1, 1), (4, 1)]
    assert statistics.last_inference_ms > 0
    assert statistics.fail.count == 0


async def test_an_error_of_one_request_is_its_own_and_counts_as_a_failure_of_the_backend() -> None:
    scene = Scene(dynamic())
    await scene.ask(2)
    await scene.batches[0].end(ServeError(StatusCode.INVALID_ARGUMENT, "no"), ExecuteResult(outputs=()))
    assert (await scene.error(0)).status is StatusCode.INVALID_ARGUMENT
    await scene.asked[1]
    statistics = scene.executor.statistics()
    assert (statistics.success.count, statistics.fail.count, statistics.failures.backend) == (1, 1, 1)
    assert (statistics.inference_count, statistics.execution_count) == (1, 1)


async def test_an_error_that_the_model_answers_counts_as_a_success() -> None:
    scene = Scene(dynamic())
    await scene.ask(1)
    await scene.batches[0].end(AnsweredError(StatusCode.INTERNAL, "model says no"))
    assert (await scene.error()).message == "model says no"
    statistics = scene.executor.statistics()
    assert (statistics.success.count, statistics.fail.count, statistics.inference_count) == (1, 0, 1)


async def test_a_batch_that_fails_answers_all_its_requests_and_the_instance_goes_on() -> None:
    scene = Scene(dynamic())
    await scene.ask(2)
    await scene.batches[0].fail(ServeError(StatusCode.INTERNAL, "broken"))
    assert [(await scene.error(0)).message, (await scene.error(1)).message] == ["broken", "broken"]
    await scene.ask(1)
    await scene.end_all()
    await scene.asked[2]
    statistics = scene.executor.statistics()
    assert (statistics.fail.count, statistics.failures.backend, statistics.execution_count) == (2, 2, 1)


async def test_an_unexpected_error_reaches_no_client_in_its_own_words(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(dynamic())
    await scene.ask(1)
    await scene.batches[0].fail(KeyError("secret"))
    error = await scene.error()
    assert error.status is StatusCode.INTERNAL
    assert "secret" not in error.message
    assert "secret" in caplog.text


async def test_a_runner_that_answers_another_number_of_requests_fails_the_batch() -> None:
    scene = Scene(dynamic())
    await scene.ask(2)
    await scene.batches[0].end(ExecuteResult(outputs=()))
    assert (await scene.error(0)).message == "model 'M' returned 1 answers to a batch of 2 requests"
    await scene.error(1)


async def test_a_full_queue_refuses_and_counts_it_as_rejected_only() -> None:
    scene = Scene(dynamic(default_policy=QueuePolicy(max_size=2)))
    await scene.ask(1)
    await scene.ask(3)
    error = await scene.error(3)
    assert (error.status, error.message) == (StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
    await scene.end_all()
    statistics = scene.executor.statistics()
    assert (statistics.success.count, statistics.fail.count, statistics.failures.rejected) == (3, 0, 1)


async def test_a_cancelled_request_leaves_the_queue_and_counts_as_cancelled() -> None:
    scene = Scene(dynamic())
    await scene.ask(3)
    scene.asked[0].cancel()
    await scene.ask(2, name="queued")
    scene.asked[3].cancel()
    await settle()
    assert scene.executor.statistics().pending == 1
    await scene.end_all()
    assert scene.sizes == [3, 1]
    statistics = scene.executor.statistics()
    # The one that was cancelled while it ran ran to its end.
    assert (statistics.success.count, statistics.fail.count, statistics.failures.cancelled) == (4, 1, 1)


async def test_what_stands_behind_a_cancelled_request_may_run_at_once() -> None:
    scene = Scene(dynamic(max_queue_delay_us=100_000, variable_inputs=frozenset({"I"})))
    await scene.ask(4, shape=(5,))
    await scene.ask(1, shape=(6,))
    assert scene.sizes == [4]
    await scene.end_all()
    scene.asked[4].cancel()
    await scene.ask(8, shape=(5,))
    assert scene.sizes == [4, 8]


async def test_a_request_that_waits_too_long_is_refused_and_counted_as_rejected() -> None:
    scene = Scene(dynamic(default_policy=QueuePolicy(timeout_us=100_000)))
    await scene.ask(1)
    await scene.ask(1)
    await scene.clock.advance(99 * MS)
    assert not scene.asked[1].done()
    await scene.clock.advance(1 * MS)
    error = await scene.error(1)
    assert (error.status, error.message) == (StatusCode.UNAVAILABLE, "Request timeout expired")
    statistics = scene.executor.statistics()
    assert (statistics.fail.count, statistics.failures.rejected) == (1, 1)
    await scene.end_all()
    await scene.asked[0]


async def test_a_request_may_shorten_its_timeout_where_the_policy_allows_it_and_never_lengthen_it() -> None:
    scene = Scene(dynamic(default_policy=QueuePolicy(timeout_us=100_000, allows_override=True)))
    await scene.ask(1)
    await scene.ask(1, timeout=10_000)
    await scene.ask(1, timeout=900_000)
    await scene.clock.advance(10 * MS)
    assert [task.done() for task in scene.asked] == [False, True, False]
    await scene.clock.advance(90 * MS)
    assert [task.done() for task in scene.asked] == [False, True, True]
    await scene.error(1)
    await scene.error(2)


async def test_delayed_requests_go_last_and_do_not_time_out_again() -> None:
    scene = Scene(SchedulingOptions(default_policy=QueuePolicy(timeout_us=50_000, delays=True)))
    await scene.ask(1, name="first")
    await scene.ask(1, name="late")
    await scene.clock.advance(50 * MS)
    await scene.ask(1, name="in time")
    await scene.end_all()
    assert [running.requests[0].id for running in scene.batches] == ["first", "in time", "late"]


async def test_urgent_requests_go_first_and_others_take_the_default_level() -> None:
    scene = Scene(SchedulingOptions(levels=3, default_level=2))
    await scene.ask(1, name="running")
    await scene.ask(1, name="last", priority=3)
    await scene.ask(1, name="default")
    await scene.ask(1, name="default by number", priority=0)
    await scene.ask(1, name="urgent", priority=1)
    await scene.end_all()
    order = [running.requests[0].id for running in scene.batches]
    assert order == ["running", "urgent", "default", "default by number", "last"]


@pytest.mark.parametrize("levels", [1, 3])
async def test_a_priority_beyond_the_models_levels_is_refused_and_counted_nowhere(levels: int) -> None:
    scene = Scene(SchedulingOptions(levels=levels))
    await scene.ask(1, priority=levels)
    await scene.ask(1, priority=levels + 1)
    error = await scene.error(1)
    assert (error.status, error.message) == (
        StatusCode.INVALID_ARGUMENT,
        f"invalid value for 'priority' of model 'M', expected 0 to {levels}, got {levels + 1}",
    )
    await scene.end_all()
    statistics = scene.executor.statistics()
    assert (statistics.success.count, statistics.fail.count, statistics.failures.rejected) == (1, 0, 0)


@pytest.mark.parametrize("timeout_us", [0, -5])
async def test_a_timeout_that_is_over_before_it_begins_is_refused_where_requests_may_bring_one(timeout_us: int) -> None:
    scene = Scene(SchedulingOptions(default_policy=QueuePolicy(timeout_us=1000, allows_override=True)))
    await scene.ask(1, timeout=timeout_us)
    error = await scene.error()
    assert (error.status, error.message) == (
        StatusCode.INVALID_ARGUMENT,
        f"invalid value for 'timeout' of model 'M', expected microseconds above 0, got {timeout_us}",
    )


async def test_without_levels_and_override_priority_and_timeout_mean_nothing() -> None:
    scene = Scene(SchedulingOptions(default_policy=QueuePolicy(timeout_us=1000)))
    await scene.ask(1, priority=9, timeout=-1)
    await scene.end_all()
    assert (await scene.asked[0]).outputs == ()


async def test_each_level_has_its_own_queue_size() -> None:
    options = SchedulingOptions(levels=2, default_level=2, policies={2: QueuePolicy(max_size=1)})
    scene = Scene(options)
    await scene.ask(1)
    await scene.ask(2, priority=2)
    await scene.ask(2, priority=1)
    assert (await scene.error(2)).message == "Exceeds maximum queue size"
    await scene.end_all()
    assert len(scene.batches) == 4


async def test_answers_keep_the_order_of_their_requests_where_the_config_asks() -> None:
    scene = Scene(SchedulingOptions(preserve_ordering=True), instances=3)
    await scene.ask(3)
    first, second, third = scene.batches
    await third.end()
    await second.end()
    assert [task.done() for task in scene.asked] == [False, False, False]
    await first.end()
    assert [task.done() for task in scene.asked] == [True, True, True]
    await scene.ask(1)
    await scene.end_all()
    assert scene.asked[3].done()


async def test_without_being_asked_answers_go_out_as_they_come() -> None:
    scene = Scene(SchedulingOptions(), instances=2)
    await scene.ask(2)
    await scene.batches[1].end()
    assert [task.done() for task in scene.asked] == [False, True]
    await scene.end_all()


async def test_held_answers_go_out_when_those_before_have_failed_or_nobody_waits_for_them() -> None:
    scene = Scene(SchedulingOptions(preserve_ordering=True), instances=3)
    await scene.ask(3)
    scene.asked[0].cancel()
    for running in reversed(scene.batches[1:]):
        await running.end()
    assert not scene.asked[2].done()
    await scene.batches[0].fail(ServeError(StatusCode.INTERNAL, "broken"))
    assert (scene.asked[1].done(), scene.asked[2].done()) == (True, True)


async def test_a_request_that_would_wait_too_long_is_refused_at_once() -> None:
    scene = Scene(SchedulingOptions(max_predicted_wait_us=150_000))
    await scene.ask(1)
    await scene.clock.advance(100 * MS)
    await scene.end_all()  # an execution takes 100 ms, as is known now
    await scene.ask(3)
    error = await scene.error(3)
    assert (error.status, error.message) == (
        StatusCode.UNAVAILABLE,
        "model 'M' is overloaded: a request would wait about 200 ms, more than admission_max_wait_us allows",
    )
    statistics = scene.executor.statistics()
    assert (statistics.shed, statistics.failures.rejected, statistics.fail.count) == (1, 1, 0)
    assert statistics.predicted_wait_ns == 200 * MS
    await scene.clock.advance(100 * MS)
    await scene.batches[1].end()
    await scene.ask(1)
    await scene.end_all()
    assert (await scene.asked[4]).outputs == ()


async def test_a_refused_request_is_told_the_wait_of_its_level() -> None:
    scene = Scene(SchedulingOptions(levels=2, default_level=2, max_predicted_wait_us=150_000))
    await scene.ask(1)
    await scene.clock.advance(100 * MS)
    await scene.end_all()
    await scene.ask(2)  # one runs, one waits
    await scene.ask(2, priority=1)  # before that
    assert "would wait about 200 ms" in (await scene.error(4)).message
    assert scene.executor.statistics().predicted_wait_ns == 300 * MS
    await scene.end_all()


async def test_the_delay_gives_way_to_the_latency_that_is_to_be_held() -> None:
    scene = Scene(dynamic(max_queue_delay_us=50_000, target_p99_us=20_000))
    assert scene.executor.statistics().queue_delay_ns <= 20 * MS
    for _ in range(20):
        await scene.ask(2)
        await scene.clock.advance(50 * MS)
        await scene.end_all()
    assert scene.executor.statistics().queue_delay_ns < 2 * MS
    fixed = Scene(dynamic(max_queue_delay_us=50_000))
    assert fixed.executor.statistics().queue_delay_ns == 50 * MS


async def test_many_requests_time_out_one_after_another_with_one_timer() -> None:
    scene = Scene(dynamic(default_policy=QueuePolicy(timeout_us=1_000_000, allows_override=True)))
    await scene.ask(1)
    for ms in (30, 10, 20):
        await scene.ask(1, timeout=ms * 1000)
    for ms, done in ((10, [2]), (20, [2, 3]), (30, [1, 2, 3])):
        await scene.clock.advance(10 * MS)
        assert [index for index, task in enumerate(scene.asked) if task.done()] == done, ms
    for index in (1, 2, 3):
        await scene.error(index)
    await scene.end_all()


async def test_close_completes_what_was_accepted_and_refuses_what_comes_then() -> None:
    scene = Scene(dynamic(max_queue_delay_us=10_000_000))
    await scene.ask(8)
    await scene.ask(2)
    closing = asyncio.create_task(scene.executor.close())
    await settle()
    error = (await asyncio.gather(execute(scene.executor, request()), return_exceptions=True))[0]
    assert isinstance(error, ServeError)
    assert error.status is StatusCode.UNAVAILABLE
    assert error.message == "Server is stopping, scheduler for model has stopped accepting new inference requests"
    assert not closing.done()
    await scene.end_all()
    await closing
    # The second batch did not wait for its delay.
    assert scene.sizes == [8, 2]
    assert scene.instances[0].is_closed
    await scene.executor.close()


async def test_close_of_a_model_without_requests_returns() -> None:
    scene = Scene(dynamic(), instances=2)
    await scene.executor.close()
    assert all(instance.is_closed for instance in scene.instances)
