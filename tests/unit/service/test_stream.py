"""ModelStreamInfer over models that do what each request says."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npuserve._proto.inference_pb2 import ModelInferRequest, ModelStreamInferResponse
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service.call import SHUTTING_DOWN, Call
from npuserve.service.decode import RequestDecoder
from npuserve.service.inference import InferenceService
from npuserve.service.regions import SharedMemoryRegions
from npuserve.service.stream import StreamRpc
from support.scripted import FAILS, FAILS_UNEXPECTEDLY, QUEUE_IS_FULL, ScriptedExecutor
from support.scripted_service import scripted_service

ONE = 'input { name: "x" data_type: TYPE_FP32 dims: 1 } output { name: "y" data_type: TYPE_FP32 dims: 1 } '
CONFIGS = {"plain": ONE, "many": ONE + "model_transaction_policy { decoupled: true }"}
STRICT = Call(metadata=(("triton_grpc_error", "true"),))

Scripted = tuple[InferenceService, dict[str, ScriptedExecutor]]


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[Scripted]:
    async with scripted_service(tmp_path, CONFIGS) as both:
        yield both


def asked(id: str, value: float = 1.0, *, model: str = "plain", version: str = "", **parameters: bool) -> Any:
    request = ModelInferRequest(model_name=model, model_version=version, id=id)
    request.inputs.add(name="x", datatype="FP32", shape=[1])
    request.raw_input_contents.append(np.float32(value).tobytes())
    for key, flag in parameters.items():
        request.parameters[key].bool_param = flag
    return request


def stream(
    scripted: Scripted, requests: AsyncIterator[Any], call: Call | None = None, most: int = 256
) -> AsyncGenerator[ModelStreamInferResponse]:
    rpc = StreamRpc(scripted[0], RequestDecoder(SharedMemoryRegions()), max_in_flight=most)
    responses = rpc.model_stream_infer(requests, call or Call())
    assert isinstance(responses, AsyncGenerator)
    return responses


async def each(*requests: Any) -> AsyncIterator[Any]:
    for request in requests:
        yield request


async def unending(*requests: Any) -> AsyncIterator[Any]:
    """The client says no more, and does not close its side."""
    for request in requests:
        yield request
    await asyncio.Event().wait()


async def said(responses: AsyncIterator[ModelStreamInferResponse]) -> list[ModelStreamInferResponse]:
    return [response async for response in responses]


def ids(responses: list[ModelStreamInferResponse]) -> list[str]:
    return [response.infer_response.id for response in responses]


def values(responses: list[ModelStreamInferResponse]) -> list[tuple[str, list[float], bool]]:
    """Of each response the id, the numbers, and whether it is final."""
    return [
        (
            response.infer_response.id,
            [float(np.frombuffer(raw, np.float32)[0]) for raw in response.infer_response.raw_output_contents],
            response.infer_response.parameters["triton_final_response"].bool_param,
        )
        for response in responses
    ]


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)


async def test_each_answer_is_final_and_the_stream_ends_behind_the_last(scripted: Scripted) -> None:
    responses = await said(stream(scripted, each(asked("a", 5.0), asked("b", 6.0))))
    assert values(responses) == [("a", [5.0], True), ("b", [6.0], True)]
    assert {response.infer_response.model_version for response in responses} == {"1"}


async def test_a_stream_without_requests_ends_at_once(scripted: Scripted) -> None:
    assert await said(stream(scripted, each())) == []


async def test_a_slow_answer_holds_up_those_behind_it_and_not_their_execution(scripted: Scripted) -> None:
    executor = scripted[1]["plain"]
    gate = executor.gates["a"] = asyncio.Event()
    async with aclosing(stream(scripted, each(asked("a"), asked("b"), asked("nope", model="nope")))) as responses:
        first = asyncio.ensure_future(anext(responses))
        await until(lambda: len(executor.asked) == 2 and executor.running == 1)
        assert not first.done()
        gate.set()
        assert ids([await first, *await said(responses)]) == ["a", "b", "nope"]


async def test_requests_reach_their_model_in_the_order_of_the_stream(scripted: Scripted) -> None:
    await said(stream(scripted, each(*(asked(str(index)) for index in range(50)))))
    assert [request.id for request in scripted[1]["plain"].asked] == [str(index) for index in range(50)]


async def test_answers_of_a_decoupled_model_pass_by_a_slow_one(scripted: Scripted) -> None:
    gate = scripted[1]["plain"].gates["a"] = asyncio.Event()
    async with aclosing(stream(scripted, each(asked("a"), asked("b", 2.0, model="many")))) as responses:
        seen = [await anext(responses), await anext(responses)]
        assert values(seen) == [("b", [0.0], False), ("b", [1.0], False)]
        gate.set()
        assert ids(await said(responses)) == ["a"]


@pytest.mark.parametrize("version", ["", "1"])
async def test_a_models_failure_takes_its_place_and_names_the_model(scripted: Scripted, version: str) -> None:
    responses = await said(stream(scripted, each(asked("a"), asked("b", FAILS, version=version), asked("c"))))
    assert ids(responses) == ["a", "b", "c"]
    failed = responses[1]
    assert failed.error_message == "model says no"
    assert (failed.infer_response.model_name, failed.infer_response.model_version) == ("plain", version)
    assert failed.infer_response.parameters["triton_final_response"].bool_param


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (asked("b", model="nope"), "Request for unknown model: 'nope' is not found"),
        (asked("b", version="7"), "Request for unknown model: 'plain' version 7 is not found"),
        (asked("b", triton_x=True), "parameter keys starting with 'triton_' are reserved for Triton usage. Only"),
        (asked("b", model="many", triton_x=True), "parameter keys starting with 'triton_' are reserved for"),
        (asked("b", QUEUE_IS_FULL), "[request id: b] Exceeds maximum queue size"),
    ],
)
async def test_a_refusal_has_the_id_and_nothing_of_the_model(scripted: Scripted, request_: Any, text: str) -> None:
    responses = await said(stream(scripted, each(request_, asked("c"))))
    (refused,) = [response for response in responses if response.infer_response.id == "b"]
    assert refused.error_message.startswith(text)
    refused.error_message = ""
    assert refused == ModelStreamInferResponse(infer_response={"id": "b"})
    assert "c" in ids(responses)


async def test_what_nobody_foresaw_is_told_to_the_log_alone(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    responses = await said(stream(scripted, each(asked("a", FAILS_UNEXPECTEDLY), asked("b"))))
    assert [response.error_message for response in responses] == ["unexpected error, see the server's log", ""]
    assert "not for clients" in caplog.text


@pytest.mark.parametrize(
    ("value", "wanted", "expected"),
    [
        (2.0, None, [("a", [0.0], False), ("a", [1.0], False)]),
        (2.0, False, [("a", [0.0], False), ("a", [1.0], False)]),
        (2.0, True, [("a", [0.0], False), ("a", [1.0], False), ("a", [], True)]),
        (0.0, None, []),
        (0.0, True, [("a", [], True)]),
        # The model says with its last outputs that they are the last.
        (102.0, None, [("a", [0.0], False), ("a", [1.0], True)]),
        (102.0, True, [("a", [0.0], False), ("a", [1.0], True)]),
    ],
)
async def test_a_final_response_without_outputs_comes_if_it_is_asked_for(
    scripted: Scripted, value: float, wanted: bool | None, expected: list[Any]
) -> None:
    request = asked("a", value, model="many")
    if wanted is not None:
        request.parameters["triton_enable_empty_final_response"].bool_param = wanted
    responses = await said(stream(scripted, each(request)))
    assert values(responses) == expected
    assert all(response.infer_response.model_name == "many" for response in responses)


async def test_a_decoupled_model_may_fail(scripted: Scripted) -> None:
    (failed,) = await said(stream(scripted, each(asked("a", FAILS, model="many"))))
    assert (failed.error_message, failed.infer_response.model_name) == ("model says no", "many")


async def test_in_strict_mode_a_models_failure_ends_the_stream(scripted: Scripted) -> None:
    gate = scripted[1]["plain"].gates["c"] = asyncio.Event()
    responses = stream(scripted, unending(asked("a"), asked("b", FAILS), asked("c")), STRICT)
    assert ids([await anext(responses)]) == ["a"]
    with pytest.raises(ServeError) as caught:
        await anext(responses)
    assert (caught.value.status, caught.value.message) == (StatusCode.INTERNAL, "model says no")
    assert scripted[1]["plain"].cancelled == ["c"]
    assert not gate.is_set()


async def test_in_strict_mode_a_refusal_does_not_end_the_stream(scripted: Scripted) -> None:
    responses = await said(stream(scripted, each(asked("a", model="nope"), asked("b")), STRICT))
    assert ids(responses) == ["a", "b"]


@pytest.mark.parametrize("value", ["false", "1"])
async def test_strict_mode_has_one_spelling(scripted: Scripted, value: str) -> None:
    call = Call(metadata=(("triton_grpc_error", value),))
    assert len(await said(stream(scripted, each(asked("a", FAILS), asked("b")), call))) == 2


async def test_whoever_leaves_cancels_everything_in_flight(scripted: Scripted) -> None:
    plain, many = scripted[1]["plain"], scripted[1]["many"]
    plain.gates["b"] = plain.gates["c"] = many.gates["d"] = asyncio.Event()
    requests = unending(asked("a"), asked("b"), asked("c"), asked("d", 0.0, model="many"))
    responses = stream(scripted, requests)
    assert ids([await anext(responses)]) == ["a"]
    await until(lambda: plain.running + many.running == 3)
    await responses.aclose()
    assert sorted(plain.cancelled) == ["b", "c"]
    assert many.cancelled == ["d"]


async def test_a_cancelled_call_waits_for_what_it_cancels(scripted: Scripted) -> None:
    plain = scripted[1]["plain"]
    plain.gates["a"] = asyncio.Event()
    task = asyncio.ensure_future(said(stream(scripted, unending(asked("a")))))
    await until(lambda: plain.running == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert plain.cancelled == ["a"]


async def test_reading_pauses_while_enough_is_in_flight(scripted: Scripted) -> None:
    plain = scripted[1]["plain"]
    gate = plain.gates["0"] = asyncio.Event()
    taken = []

    async def counted() -> AsyncIterator[Any]:
        for index in range(40):
            taken.append(index)
            yield asked(str(index))

    responses = stream(scripted, counted(), most=4)
    first = asyncio.ensure_future(anext(responses))
    await until(lambda: len(plain.asked) == 4)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(taken) == 4
    gate.set()
    assert ids([await first, *await said(responses)]) == [str(index) for index in range(40)]


async def test_a_client_that_takes_nothing_is_read_no_further(scripted: Scripted) -> None:
    taken = []

    async def counted() -> AsyncIterator[Any]:
        for index in range(200):
            taken.append(index)
            yield asked(str(index))

    async with aclosing(stream(scripted, counted(), most=4)) as responses:
        await anext(responses)
        for _ in range(500):
            await asyncio.sleep(0)
        assert len(taken) < 40
        assert len(await said(responses)) == 199


async def test_a_message_that_cannot_be_read_ends_the_stream(scripted: Scripted) -> None:
    async def broken() -> AsyncIterator[Any]:
        yield asked("a")
        raise ServeError(StatusCode.INTERNAL, "Unable to parse request")

    with pytest.raises(ServeError, match="Unable to parse request"):
        await said(stream(scripted, broken()))


async def test_open_streams_are_told_that_the_server_stops(scripted: Scripted) -> None:
    plain = scripted[1]["plain"]
    gate = plain.gates["a"] = asyncio.Event()

    async def requests() -> AsyncIterator[Any]:
        yield asked("a")
        await until(lambda: plain.running == 1)
        scripted[0].stopping.set()
        yield asked("b")
        gate.set()

    accepted, refused = await said(stream(scripted, requests()))
    assert values([accepted]) == [("a", [1.0], True)]
    assert (refused.error_message, refused.infer_response.id) == (SHUTTING_DOWN, "b")


async def test_a_stream_without_requests_in_flight_ends_when_the_server_stops(scripted: Scripted) -> None:
    async def idle() -> AsyncIterator[Any]:
        yield asked("a")
        await asyncio.Event().wait()

    responses = stream(scripted, idle())
    assert values([await anext(responses)]) == [("a", [1.0], True)]
    scripted[0].stopping.set()
    with pytest.raises(ServeError, match=SHUTTING_DOWN) as caught:
        await anext(responses)
    assert caught.value.status is StatusCode.UNAVAILABLE
