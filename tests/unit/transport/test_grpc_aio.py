"""The front end alone, on handlers that do what a real one does only when something is broken."""

import asyncio
import logging
from typing import Any

import grpc
import grpc.aio
import pytest
from npuserve._proto.inference_pb2 import ServerLiveRequest, ServerLiveResponse
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service.call import Call
from npuserve.service.methods import MethodTable, UnaryHandler, UnaryMethod
from npuserve.transport.front_end import FrontEndError
from npuserve.transport.grpc_aio import GrpcAioFrontEnd


def front_end(handler: UnaryHandler, port: int = 0) -> GrpcAioFrontEnd:
    table = MethodTable([UnaryMethod("/a.B/C", ServerLiveRequest, ServerLiveResponse, handler)])
    return GrpcAioFrontEnd(table, host="127.0.0.1", port=port)


async def called(handler: UnaryHandler, **options: Any) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    server = front_end(handler)
    try:
        async with grpc.aio.insecure_channel(await server.start()) as channel:
            call = channel.unary_unary("/a.B/C", None, None)(b"", **options)
            await call.code()
            return call
    finally:
        await server.stop()


async def test_an_unexpected_error_tells_the_client_nothing_and_the_log_everything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(request: Any, call: Call) -> ServerLiveResponse:
        raise RuntimeError("secret")

    with caplog.at_level(logging.ERROR):
        answer = await called(broken)
    assert (await answer.code(), await answer.details()) == (
        grpc.StatusCode.INTERNAL,
        "unexpected error, see the server's log",
    )
    assert "secret" in caplog.text


@pytest.mark.parametrize("status", [status for status in StatusCode if status is not StatusCode.OK])
async def test_every_status_reaches_the_client_with_its_sentence(status: StatusCode) -> None:
    async def refusing(request: Any, call: Call) -> ServerLiveResponse:
        raise ServeError(status, "the reason")

    answer = await called(refusing)
    assert ((await answer.code()).value[0], await answer.details()) == (status, "the reason")


async def test_a_handler_knows_deadline_metadata_and_peer() -> None:
    seen: list[Call] = []

    async def noting(request: Any, call: Call) -> ServerLiveResponse:
        seen.append(call)
        return ServerLiveResponse(live=True)

    await called(noting, timeout=5, metadata=(("key", "value"),))
    (call,) = seen
    assert call.deadline is not None
    assert not call.expired()
    assert call.expired(call.deadline)
    assert ("key", "value") in call.metadata
    assert call.peer.startswith("ipv4:127.0.0.1:")


async def test_a_client_that_cancels_cancels_the_handler() -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def waiting(request: Any, call: Call) -> ServerLiveResponse:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return ServerLiveResponse()

    server = front_end(waiting)
    async with grpc.aio.insecure_channel(await server.start()) as channel:
        call = channel.unary_unary("/a.B/C", None, None)(b"")
        await asyncio.wait_for(entered.wait(), 10)
        call.cancel()
        await asyncio.wait_for(cancelled.wait(), 10)
    server.stop_accepting()
    await asyncio.wait_for(server.drain(), 10)
    await server.stop()


async def test_a_port_in_use_is_refused_and_not_shared() -> None:
    async def live(request: Any, call: Call) -> ServerLiveResponse:
        return ServerLiveResponse(live=True)

    first = front_end(live)
    port = int((await first.start()).rpartition(":")[2])
    with pytest.raises(FrontEndError, match=f"Socket '127.0.0.1:{port}' already in use"):
        await front_end(live, port).start()
    await first.stop()


def test_a_path_is_served_once() -> None:
    async def live(request: Any, call: Call) -> ServerLiveResponse:
        return ServerLiveResponse(live=True)

    method = UnaryMethod("/a.B/C", ServerLiveRequest, ServerLiveResponse, live)
    with pytest.raises(ValueError, match=r"/a\.B/C is served twice"):
        MethodTable([method], [method])
