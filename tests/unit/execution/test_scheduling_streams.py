"""The Python-side scheduler over instances that answer a request as often as they like."""

import asyncio
from collections.abc import Sequence

import pytest
from npuserve.config.scheduling import SchedulingOptions
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteResult
from npuserve.core.status import StatusCode
from npuserve.execution.open_request import OpenRequest
from npuserve.execution.scheduling import Ended, Execution, StreamingExecutor
from support.scheduling import SIGNATURE, FakeClock, request, settle


class StreamingInstance:
    """An OpenRunner that gives its requests to the test and is free at once."""

    def __init__(self) -> None:
        self.taken: list[OpenRequest] = []

    def run(self, batch: Sequence[OpenRequest], execution: Execution, ended: Ended) -> None:
        self.taken += batch
        ended(None)

    async def close(self) -> None:
        pass


async def test_a_stream_yields_results_as_they_come_and_ends_with_the_request() -> None:
    instance, clock = StreamingInstance(), FakeClock()
    executor = StreamingExecutor(
        "M", SIGNATURE, SchedulingOptions(), [instance], counts_responses=True, now_ns=clock.now_ns, timers=clock
    )
    stream = executor.stream(request())
    first = asyncio.ensure_future(anext(stream))
    await settle()
    instance.taken[0].send(ExecuteResult(outputs=(), parameters={"n": 1}))
    assert (await first).parameters == {"n": 1}
    instance.taken[0].send(ExecuteResult(outputs=(), parameters={"n": 2}))
    instance.taken[0].finish()
    assert [result.parameters async for result in stream] == [{"n": 2}]
    statistics = executor.statistics()
    assert (statistics.success.count, statistics.execution_count) == (1, 1)
    assert [each.success.count for each in statistics.responses] == [1, 1, 0]
    assert [each.empty_response.count for each in statistics.responses] == [0, 0, 1]
    await executor.close()


async def test_an_error_ends_a_stream_after_the_results_before_it() -> None:
    instance = StreamingInstance()
    executor = StreamingExecutor("M", SIGNATURE, SchedulingOptions(), [instance])
    stream = executor.stream(request())
    first = asyncio.ensure_future(anext(stream))
    await settle()
    instance.taken[0].send(ExecuteResult(outputs=()))
    instance.taken[0].finish(ServeError(StatusCode.INTERNAL, "broken"))
    await first
    with pytest.raises(ServeError, match="broken"):
        await anext(stream)
    await executor.close()


async def test_closing_a_stream_tells_the_instance_and_close_waits_until_it_has_finished() -> None:
    instance = StreamingInstance()
    executor = StreamingExecutor("M", SIGNATURE, SchedulingOptions(), [instance])
    stream = executor.stream(request())
    first = asyncio.ensure_future(anext(stream))
    await settle()
    told: list[bool] = []
    taken = instance.taken[0]
    taken.when_cancelled(lambda: told.append(True))
    first.cancel()
    await settle()
    assert told == [True]
    assert taken.is_cancelled
    closing = asyncio.create_task(executor.close())
    await settle()
    assert not closing.done()
    taken.finish()
    await closing


async def test_a_unary_request_that_ends_without_a_result_is_an_error() -> None:
    instance = StreamingInstance()
    executor = StreamingExecutor("M", SIGNATURE, SchedulingOptions(), [instance])
    asked = asyncio.create_task(executor.execute(request()))
    await settle()
    instance.taken[0].finish()
    with pytest.raises(ServeError, match="sent no response"):
        await asked
    await executor.close()


async def test_streams_keep_the_order_of_their_requests_where_the_config_asks() -> None:
    instance = StreamingInstance()
    executor = StreamingExecutor("M", SIGNATURE, SchedulingOptions(preserve_ordering=True), [instance])
    streams = [executor.stream(request()) for _ in range(2)]
    waiting = []
    for stream in streams:
        waiting.append(asyncio.ensure_future(anext(stream)))
        await settle()
    first, second = instance.taken
    second.send(ExecuteResult(outputs=(), parameters={"n": 2}))
    second.finish()
    first.send(ExecuteResult(outputs=(), parameters={"n": 1}))
    await settle()
    assert [task.done() for task in waiting] == [True, False]
    first.finish()
    assert (await waiting[1]).parameters == {"n": 2}
    assert [result async for result in streams[1]] == []
    assert [result async for result in streams[0]] == []
    await executor.close()
