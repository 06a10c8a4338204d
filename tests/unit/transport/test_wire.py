"""What the native front end alone does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import grpc.aio
from npuserve._proto.inference_pb2 import ModelInferResponse, ServerLiveRequest, ServerLiveResponse
from npuserve.service.call import Call
from npuserve.service.methods import StreamMethod
from support.front_ends import STREAM, UNARY, make_front_end, served, unary

RESPONSES = 128
MIB = bytes(2**20)


async def live(request: Any, call: Call) -> ServerLiveResponse:
    return ServerLiveResponse(live=True)


async def test_a_client_that_does_not_read_holds_its_streams_handler_back() -> None:
    made = 0

    async def plenty(requests: AsyncIterator[Any], call: Call) -> AsyncIterator[ModelInferResponse]:
        nonlocal made
        for _ in range(RESPONSES):
            made += 1
            yield ModelInferResponse(raw_output_contents=[MIB])

    method = StreamMethod(STREAM, ServerLiveRequest, ModelInferResponse, plenty)
    async with served("native", method) as (_, address), grpc.aio.insecure_channel(address) as channel:
        call: Any = cast(Any, channel.stream_stream(STREAM, None, None))(timeout=60)
        await call.read()
        assert made < RESPONSES
        received = 1
        while await call.read():
            received += 1
    assert received == made == RESPONSES


async def test_a_call_without_a_message_is_unreadable() -> None:
    async with served("native", unary(live)) as (_, address), grpc.aio.insecure_channel(address) as channel:
        call: Any = cast(Any, channel.stream_unary(UNARY, None, None))(iter([]), timeout=20)
        assert (await call.code(), await call.details()) == (grpc.StatusCode.INTERNAL, "Unable to parse request")


async def test_a_handler_that_gives_up_ends_its_call() -> None:
    async def giving_up(request: Any, call: Call) -> ServerLiveResponse:
        raise asyncio.CancelledError

    async with served("native", unary(giving_up)) as (_, address), grpc.aio.insecure_channel(address) as channel:
        assert await channel.unary_unary(UNARY, None, None)(b"", timeout=20).code() is grpc.StatusCode.CANCELLED


async def test_it_shows_its_address_connections_and_calls() -> None:
    async with served("native", unary(live)) as (server, _):
        assert repr(server) == "<WireFrontEnd 127.0.0.1:0 <Endpoint connections=0 open_calls=0>>"
    assert repr(make_front_end("native", unary(live))) == "<WireFrontEnd 127.0.0.1:0 None>"
