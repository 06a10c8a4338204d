"""Sequences on instances that note what they are asked and answer when they are told."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from google.protobuf import text_format
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.sequence import sequence_options
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.executor import single_result
from npuserve.execution.sequence import SequenceExecutor
from npuserve.observability.statistics import ModelStatistics

CONTROLS = """
control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }
control_input { name: "END" control { kind: CONTROL_SEQUENCE_END int32_false_true: [ 0, 1 ] } }
control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_INT64 } }
"""
STATE = 'state { input_name: "SUM_IN" output_name: "SUM" data_type: TYPE_INT64 dims: [ 1 ] }'
HOUR_US = 3_600_000_000
SIGNATURE = ModelSignature((TensorSpec("X", Dtype.INT64, (-1, 1)),), (TensorSpec("Y", Dtype.INT64, (-1, 1)),), ())


def number(name: str, value: int) -> Tensor:
    return Tensor(name, Dtype.INT64, (1, 1), np.int64(value).tobytes())


def value_of(tensors: Iterable[Tensor], name: str) -> int:
    (tensor,) = [tensor for tensor in tensors if tensor.name == name]
    return int(np.frombuffer(tensor.data, np.int32 if tensor.dtype is Dtype.INT32 else np.int64)[0])


class Adder:
    """Answers Y = SUM = X + SUM_IN once it may; notes each request as (ID, X, START, END)."""

    def __init__(self) -> None:
        self.noted: list[tuple[int, ...]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.running = self.most_running = 0
        self.closed = False
        self.asked = ExecuteRequest(inputs=[])
        self.sums: list[bytearray] = []

    @property
    def signature(self) -> ModelSignature:
        return SIGNATURE

    @property
    def sink(self) -> None:
        return None

    async def execute(self, request: ExecuteRequest) -> ExecuteResult:
        self.asked = request
        self.noted.append(tuple(value_of(request.inputs, name) for name in ("ID", "X", "START", "END")))
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await self.may_answer.wait()
        finally:
            self.running -= 1
        given = [tensor for tensor in request.inputs if tensor.name == "SUM_IN"]
        total = value_of(request.inputs, "X") + (value_of(given, "SUM_IN") if given else 0)
        self.sums.append(bytearray(np.int64(total).tobytes()))
        kept = Tensor("SUM", Dtype.INT64, (1, 1), memoryview(self.sums[-1]))
        return ExecuteResult(outputs=[number("Y", total), kept])

    def stream(self, request: ExecuteRequest) -> AsyncIterator[ExecuteResult]:
        return single_result(self, request)

    def statistics(self) -> ModelStatistics:
        return ModelStatistics(inference_count=len(self.noted))

    async def close(self) -> None:
        self.closed = True


class Streaming(Adder):
    """Answers a stream of results without end, and notes whether it was closed."""

    ended = False

    async def stream(self, request: ExecuteRequest) -> AsyncGenerator[ExecuteResult]:
        try:
            while True:
                yield await self.execute(request)
        finally:
            self.ended = True


def sequences(
    *instances: Adder, strategy: str = "direct { }", rows: int = 4, idle_us: int = HOUR_US
) -> SequenceExecutor:
    text = f'name: "m" max_batch_size: {rows} sequence_batching {{ {strategy} {CONTROLS} {STATE} }}'
    config = text_format.Parse(text, ModelConfig())
    config.sequence_batching.max_sequence_idle_microseconds = idle_us
    return SequenceExecutor("m", SIGNATURE, sequence_options(config), instances, batches=True, initial_files={})


def step(sequence: int | str, value: int, *, start: bool = False, end: bool = False, rows: int = 1) -> ExecuteRequest:
    parameters = {"sequence_id": sequence, "sequence_start": start, "sequence_end": end}
    return ExecuteRequest(inputs=[number("X", value)], rows=rows, parameters=parameters)


async def answered(executor: SequenceExecutor, request: ExecuteRequest) -> int:
    result = await executor.execute(request)
    assert [tensor.name for tensor in result.outputs] == ["Y"]
    return value_of(result.outputs, "Y")


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110 - a condition over several objects has no one event
        await asyncio.sleep(0)


async def test_the_state_goes_from_request_to_request_and_ends_with_the_sequence() -> None:
    executor = sequences(Adder())
    assert await answered(executor, step(7, 1, start=True)) == 1
    assert await answered(executor, step(8, 100, start=True)) == 100
    assert await answered(executor, step(7, 2)) == 3
    assert await answered(executor, step(7, 3, end=True)) == 6
    assert await answered(executor, step(7, 5, start=True, end=True)) == 5
    assert executor.active_sequences == 1


async def test_the_model_is_told_where_in_which_sequence_it_is() -> None:
    adder = Adder()
    executor = sequences(adder)
    for request in (step(7, 1, start=True), step(7, 2), step(7, 3, end=True)):
        await executor.execute(request)
    assert adder.noted == [(7, 1, 1, 0), (7, 2, 0, 0), (7, 3, 0, 1)]


async def test_requests_of_a_sequence_run_one_after_another_in_order() -> None:
    adder = Adder()
    executor = sequences(adder)
    requests = [step(7, place, start=place == 0, end=place == 9) for place in range(10)]
    totals = await asyncio.gather(*(answered(executor, request) for request in requests))
    assert totals == [sum(range(place + 1)) for place in range(10)]
    assert adder.most_running == 1


async def test_sequences_run_side_by_side() -> None:
    adder = Adder()
    adder.may_answer.clear()
    executor = sequences(adder)
    running = [asyncio.create_task(executor.execute(step(name, 1, start=True))) for name in (1, 2, 3)]
    await until(lambda: adder.running == 3)
    adder.may_answer.set()
    await asyncio.gather(*running)


async def test_all_requests_of_a_sequence_go_to_one_instance_and_sequences_spread() -> None:
    first, second = Adder(), Adder()
    executor = sequences(first, second)
    for value in range(3):
        for name in (1, 2):
            await executor.execute(step(name, value, start=value == 0))
    assert sorted({noted[0] for noted in first.noted} | {noted[0] for noted in second.noted}) == [1, 2]
    assert (len(first.noted), len(second.noted)) == (3, 3)
    assert executor.statistics().inference_count == 6


async def test_a_sequence_without_a_slot_waits_for_one_to_end() -> None:
    adder = Adder()
    executor = sequences(adder, strategy="oldest { max_candidate_sequences: 1 }")
    await executor.execute(step(1, 1, start=True))
    waiting = asyncio.create_task(answered(executor, step(2, 5, start=True)))
    await until(lambda: "waiting=1" in repr(executor))
    await executor.execute(step(1, 2))
    assert not waiting.done()
    await executor.execute(step(1, 3, end=True))
    assert await waiting == 5


async def test_an_idle_sequence_ends_and_gives_its_slot() -> None:
    executor = sequences(Adder(), rows=1, idle_us=1)
    await executor.execute(step(1, 1, start=True))
    await until(lambda: not executor.active_sequences)
    with pytest.raises(ServeError, match="must specify the START flag"):
        await executor.execute(step(1, 2))
    assert await answered(executor, step(2, 3, start=True)) == 3


async def test_a_start_within_a_sequence_begins_it_anew() -> None:
    executor = sequences(Adder())
    await executor.execute(step(7, 1, start=True))
    assert await answered(executor, step(7, 10, start=True)) == 10
    assert executor.active_sequences == 1


async def test_a_correlation_id_that_the_model_cannot_take_begins_nothing() -> None:
    executor = sequences(Adder())
    with pytest.raises(ServeError, match="does not fit control input 'ID'"):
        await executor.execute(step(2**63, 1, start=True, end=True))
    assert executor.active_sequences == 0


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (step(0, 1, start=True), "inference request to model 'm' must specify a non-zero or non-empty correlation ID"),
        (step("", 1, start=True), "inference request to model 'm' must specify a non-zero or non-empty correlation ID"),
        (
            ExecuteRequest(inputs=[]),
            "inference request to model 'm' must specify a non-zero or non-empty correlation ID",
        ),
        (
            step(7, 1),
            "inference request for sequence 7 to model 'm' must specify the START flag on the first request of the "
            "sequence",
        ),
        (
            step(7, 1, start=True, rows=2),
            "inference request to model 'm' must specify batch-size 1 due to requirements of sequence batcher",
        ),
    ],
)
async def test_a_request_that_is_part_of_no_sequence_is_refused(request_: ExecuteRequest, text: str) -> None:
    executor = sequences(Adder())
    with pytest.raises(ServeError) as caught:
        await executor.execute(request_)
    assert (caught.value.status, caught.value.message) == (StatusCode.INVALID_ARGUMENT, text)
    assert executor.active_sequences == 0


async def test_giving_up_a_request_gives_up_those_behind_it() -> None:
    adder = Adder()
    adder.may_answer.clear()
    executor = sequences(adder, rows=1)
    first = asyncio.create_task(executor.execute(step(7, 1, start=True)))
    behind = asyncio.create_task(executor.execute(step(7, 2)))
    await until(lambda: adder.running)
    first.cancel()
    with pytest.raises(ServeError) as caught:
        await behind
    assert caught.value.status is StatusCode.CANCELLED
    adder.may_answer.set()
    assert await answered(executor, step(8, 4, start=True)) == 4


async def test_closing_answers_what_was_accepted_and_refuses_the_rest() -> None:
    adder = Adder()
    adder.may_answer.clear()
    executor = sequences(adder)
    accepted = asyncio.create_task(answered(executor, step(7, 1, start=True)))
    await until(lambda: adder.running)
    closing = asyncio.create_task(executor.close())
    await asyncio.sleep(0)
    with pytest.raises(ServeError, match="Server is stopping") as caught:
        await executor.execute(step(8, 1, start=True))
    assert caught.value.status is StatusCode.UNAVAILABLE
    adder.may_answer.set()
    assert await accepted == 1
    await closing
    assert adder.closed
    assert executor.active_sequences == 0


async def test_a_sequence_that_is_given_up_leaves_its_successor_of_the_same_id_alone() -> None:
    adder = Adder()
    adder.may_answer.clear()
    executor = sequences(adder)
    ending = asyncio.create_task(executor.execute(step(7, 1, start=True, end=True)))
    await until(lambda: adder.running == 1)
    successor = asyncio.create_task(answered(executor, step(7, 10, start=True)))
    await until(lambda: adder.running == 2)
    ending.cancel()
    await asyncio.wait([ending])
    adder.may_answer.set()
    assert await successor == 10
    assert await answered(executor, step(7, 5, end=True)) == 15


async def test_closing_does_not_wait_for_an_idle_sequence_whose_slot_another_needs() -> None:
    executor = sequences(Adder(), rows=1, idle_us=HOUR_US)
    await executor.execute(step(1, 1, start=True))
    waiting = asyncio.create_task(answered(executor, step(2, 5, start=True)))
    await until(lambda: "waiting=1" in repr(executor))
    await asyncio.wait_for(executor.close(), 10)
    assert await waiting == 5


async def test_closing_gives_the_slot_of_a_sequence_that_becomes_idle_to_one_that_waits() -> None:
    adder = Adder()
    adder.may_answer.clear()
    executor = sequences(adder, rows=1, idle_us=HOUR_US)
    running = asyncio.create_task(answered(executor, step(1, 1, start=True)))
    waiting = asyncio.create_task(answered(executor, step(2, 5, start=True)))
    await until(lambda: adder.running)
    closing = asyncio.create_task(executor.close())
    await asyncio.sleep(0)
    adder.may_answer.set()
    await asyncio.wait_for(closing, 10)
    assert (await running, await waiting) == (1, 5)


async def test_a_state_that_the_client_also_wants_in_its_memory_is_still_kept() -> None:
    adder = Adder()
    executor = sequences(adder)
    memory = memoryview(bytearray(8))
    begin = replace(step(7, 1, start=True), outputs=("SUM",), destinations={"SUM": memory})
    await executor.execute(begin)
    assert adder.asked.destinations == {}
    assert adder.asked.outputs == ("SUM",)


async def test_a_state_does_not_change_with_the_memory_it_came_from() -> None:
    adder = Adder()
    executor = sequences(adder)
    await executor.execute(step(7, 1, start=True))
    adder.sums[0][:] = bytes(8)
    assert await answered(executor, step(7, 2)) == 3


async def test_the_next_request_waits_until_a_stream_that_was_given_up_has_ended() -> None:
    adder = Streaming()
    executor = sequences(adder)
    stream = executor.stream(step(7, 1, start=True))
    await anext(stream)
    assert isinstance(stream, AsyncGenerator)
    await stream.aclose()
    assert adder.ended
