"""ModelInfer through a route onto a real model of the engine, without a socket and without a handler."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from npuserve import _engine
from npuserve._proto.inference_pb2 import ModelInferRequest, ModelInferResponse
from npuserve._wire import DeclaredTensor, Route
from support.wire_pair import INFER_PATH, PATIENCE_SECONDS, H2Link, WirePair, wire_pair

DIMS = (4,)
FOREVER_US = 3_600_000_000


def make_model() -> _engine.Model:
    """A model that executes full batches of 8 rows, and others only when it is closed."""
    options = _engine.ModelOptions(
        name="copy",
        max_batch_size=8,
        dynamic_batching=True,
        preferred_batch_sizes=[8],
        max_queue_delay_us=FOREVER_US,
        max_queue_size=0,
        devices=[0],
        slots_per_instance=2,
        variable_output_axes=[[]],
    )
    signature = _engine.identity_signature([("x", "y", "INT32", DIMS)], 8)
    return _engine.Model.identity(signature, options, 0, _engine.CompletionQueue())


def make_route(model: _engine.Model, dtype: str = "INT32") -> Route:
    x, y = (DeclaredTensor(name=name, dtype=dtype, dims=DIMS, model_dims=DIMS, model_dtype="INT32") for name in "xy")
    return Route(
        name="copy",
        asked_version="",
        version="3",
        max_batch_size=8,
        inputs=[x],
        outputs=[y],
        sink=model.sink,
        converts_integers=True,
    )


def request(rows: int, value: int, request_id: str) -> bytes:
    """A request of that many rows, each element the value."""
    message = ModelInferRequest(model_name="copy", id=request_id)
    message.inputs.add(name="x", datatype="INT32", shape=(rows, *DIMS))
    message.raw_input_contents.append(value.to_bytes(4, "little") * rows * DIMS[0])
    return message.SerializeToString()


@dataclass(frozen=True)
class Routed:
    """A connection to an endpoint with one route, and the model behind it."""

    pair: WirePair
    link: H2Link
    model: _engine.Model

    def send(self, rows: int, value: int, request_id: str = "") -> int:
        stream_id = self.link.client.call(INFER_PATH, request(rows, value, request_id))
        self.link.flush()
        return stream_id

    async def until_pending(self, requests: int) -> None:
        """Return when the engine has that many: it gets them, and loses them, at the end of a turn of the loop."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.model.pending != requests:  # noqa: ASYNC110  # the engine has no event for it
                await asyncio.sleep(0)

    async def values(self, stream_id: int) -> set[int]:
        answer = await self.link.answer(stream_id)
        assert answer.status == (0, "")
        [message] = answer.messages
        [raw] = ModelInferResponse.FromString(message).raw_output_contents
        return {value for (value,) in struct.iter_unpack("<i", raw)}


@asynccontextmanager
async def routed(**limits: int) -> AsyncIterator[Routed]:
    async with wire_pair(**limits) as pair:
        model = make_model()
        pair.set_routes(make_route(model))
        try:
            yield Routed(pair, pair.connect(), model)
        finally:
            await asyncio.to_thread(model.close)
        assert pair.echo.calls == []


async def test_a_routed_request_is_answered_by_the_engine_without_a_handler() -> None:
    async with routed() as wire:
        answer = await wire.link.answer(wire.send(8, 7, "q"))
    [message] = answer.messages
    response = ModelInferResponse.FromString(message)
    assert (response.model_name, response.model_version, response.id) == ("copy", "3", "q")
    [output] = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", "INT32", [8, *DIMS])
    assert response.raw_output_contents == [(7).to_bytes(4, "little") * 8 * DIMS[0]]
    assert (answer.status, wire.pair.failures) == ((0, ""), [])


async def test_requests_of_one_batch_get_their_own_rows() -> None:
    async with routed() as wire:
        sent = [wire.send(1 + value % 2, value) for value in range(4)]
        extra = wire.send(2, 9)
        assert [await wire.values(stream_id) for stream_id in sent] == [{0}, {1}, {2}, {3}]
        assert await wire.values(extra) == {9}
        counted = wire.model.statistics()
    assert (counted.inference_count, counted.execution_count, counted.success.count) == (8, 1, 5)


async def test_bytes_that_come_one_by_one_make_the_same_request() -> None:
    async with routed() as wire:
        stream_id = wire.link.client.call(INFER_PATH, request(8, 5, ""))
        wire.link.flush(cut=1)
        assert await wire.values(stream_id) == {5}


async def test_a_wrong_request_is_refused_before_the_engine_sees_it() -> None:
    async with routed() as wire:
        answer = await wire.link.answer(wire.send(9, 1, "q"))
        assert wire.model.statistics().fail.count == 0
    code, text = answer.status
    assert code == 3
    assert "batch" in text and "8" in text
    assert answer.messages == []


async def test_integers_of_the_other_width_are_carried_over_both_ways() -> None:
    async with routed() as wire:
        wire.pair.set_routes(make_route(wire.model, "INT64"))
        message = ModelInferRequest(model_name="copy")
        message.inputs.add(name="x", datatype="INT64", shape=(8, *DIMS))
        message.raw_input_contents.append((-7).to_bytes(8, "little", signed=True) * 32)
        stream_id = wire.link.client.call(INFER_PATH, message.SerializeToString())
        wire.link.flush()
        answer = await wire.link.answer(stream_id)
        assert answer.status == (0, "")
        (content,) = ModelInferResponse.FromString(answer.messages[0]).raw_output_contents
        assert set(struct.unpack("<32q", content)) == {-7}


async def test_a_queued_request_whose_client_resets_it_is_taken_out_of_the_queue() -> None:
    async with routed() as wire:
        given_up, kept = wire.send(1, 1), wire.send(6, 2)
        await wire.until_pending(2)
        wire.link.client.reset(given_up)
        wire.link.flush()
        await wire.until_pending(1)
        last = wire.send(2, 3)
        assert [await wire.values(stream_id) for stream_id in (kept, last)] == [{2}, {3}]
        counted = wire.model.statistics()
    assert (counted.inference_count, counted.fail.count, counted.success.count) == (8, 1, 2)


async def test_queued_requests_of_a_client_that_goes_away_are_taken_out_of_the_queue() -> None:
    async with routed() as wire:
        for value in range(3):
            wire.send(1, value)
        await wire.until_pending(3)
        wire.link.disconnect()
        await wire.until_pending(0)
        counted = wire.model.statistics()
    assert (counted.inference_count, counted.fail.count) == (0, 3)


async def test_a_model_that_is_closing_refuses_and_names_the_request() -> None:
    async with routed() as wire:
        await asyncio.to_thread(wire.model.close)
        answer = await wire.link.answer(wire.send(1, 1, "q"))
    code, text = answer.status
    assert code == 14
    assert "q" in text and "stopp" in text


def test_only_integers_are_carried_over() -> None:
    with pytest.raises(ValueError, match="FP32 cannot be converted to INT32"):
        DeclaredTensor(name="x", dtype="FP32", dims=DIMS, model_dims=DIMS, model_dtype="INT32")
