"""Both front ends alone, on handlers that do what real ones do only when something is broken."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from npuserve._proto.inference_pb2 import ServerLiveResponse
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service.call import Call
from npuserve.service.methods import MethodTable, UnaryHandler
from npuserve.transport.front_end import FrontEndError
from support.front_ends import STREAM, UNARY, make_front_end, served, stream, unary

LIVE = ServerLiveResponse(live=True).SerializeToString()
UNREADABLE = b"\xff\xff\xff"


@pytest.fixture(params=["native", "grpcio"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def live(request: Any, call: Call) -> ServerLiveResponse:
    return ServerLiveResponse(live=True)


async def echo(requests: AsyncIterator[Any], call: Call) -> AsyncIterator[ServerLiveResponse]:
    async for _ in requests:
        yield ServerLiveResponse(live=True)


class Waiting:
    """A handler that never answers, and says that it was called and that it was cancelled."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, request: Any, call: Call) -> ServerLiveResponse:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return ServerLiveResponse()


async def called(kind: str, handler: UnaryHandler, **options: Any) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    async with served(kind, unary(handler)) as (_, address), grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(UNARY, None, None)(b"", **options)
        await call.code()
        return call


async def outcome(address: str, path: str, sent: Sequence[bytes]) -> tuple[list[bytes], str, str | None]:
    """Send the messages and half-close; return the responses, the code and the details.

    grpc.aio's client takes a write that comes after the answer for an error of its own; the other one does not.
    """
    return await asyncio.to_thread(_outcome, address, path, sent)


def _outcome(address: str, path: str, sent: Sequence[bytes]) -> tuple[list[bytes], str, str | None]:
    received: list[bytes] = []
    with grpc.insecure_channel(address) as channel:
        call = channel.stream_stream(path, bytes, bytes)(iter(sent), timeout=20)
        with contextlib.suppress(grpc.RpcError):
            received.extend(call)
        return received, call.code().name, call.details()


async def test_an_unexpected_error_tells_the_client_nothing_and_the_log_everything(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Any, call: Call) -> ServerLiveResponse:
        raise RuntimeError("secret")

    with caplog.at_level(logging.ERROR):
        answer = await called(kind, broken)
    assert (await answer.code(), await answer.details()) == (
        grpc.StatusCode.INTERNAL,
        "unexpected error, see the server's log",
    )
    assert "secret" in caplog.text


@pytest.mark.parametrize("status", [status for status in StatusCode if status is not StatusCode.OK])
async def test_every_status_reaches_the_client_with_its_sentence(kind: str, status: StatusCode) -> None:
    async def refusing(request: Any, call: Call) -> ServerLiveResponse:
        raise ServeError(status, "the reason: 100 % é")

    answer = await called(kind, refusing)
    assert ((await answer.code()).value[0], await answer.details()) == (status, "the reason: 100 % é")


async def test_a_long_refusal_is_cut_so_that_it_arrives(kind: str) -> None:
    async def refusing(request: Any, call: Call) -> ServerLiveResponse:
        raise ServeError(StatusCode.NOT_FOUND, "é" * 20_000)

    answer = await called(kind, refusing)
    assert await answer.details() == "é" * 999 + "…"


async def test_a_handler_knows_deadline_metadata_and_peer(kind: str) -> None:
    seen: list[Call] = []

    async def noting(request: Any, call: Call) -> ServerLiveResponse:
        seen.append(call)
        return ServerLiveResponse(live=True)

    await called(kind, noting, timeout=5, metadata=(("key", "value"), ("key-bin", b"\0\xff")))
    (call,) = seen
    assert call.deadline is not None
    assert not call.expired()
    assert call.expired(call.deadline)
    assert {("key", "value"), ("key-bin", b"\0\xff")} <= set(call.metadata)
    assert call.peer.startswith("ipv4:127.0.0.1:")


async def test_a_client_without_a_deadline_sets_none(kind: str) -> None:
    seen: list[Call] = []

    async def noting(request: Any, call: Call) -> ServerLiveResponse:
        seen.append(call)
        return ServerLiveResponse(live=True)

    await called(kind, noting)
    assert seen[0].deadline is None


async def test_a_client_that_cancels_cancels_the_handler(kind: str) -> None:
    waiting = Waiting()
    async with served(kind, unary(waiting)) as (server, address):
        async with grpc.aio.insecure_channel(address) as channel:
            call = channel.unary_unary(UNARY, None, None)(b"")
            await asyncio.wait_for(waiting.entered.wait(), 10)
            call.cancel()
            await asyncio.wait_for(waiting.cancelled.wait(), 10)
        server.stop_accepting()
        await asyncio.wait_for(server.drain(), 10)


async def test_a_deadline_cancels_the_handler(kind: str) -> None:
    waiting = Waiting()
    async with served(kind, unary(waiting)) as (_, address), grpc.aio.insecure_channel(address) as channel:
        # Time enough for the call to arrive before.
        await channel.channel_ready()
        answer = channel.unary_unary(UNARY, None, None)(b"", timeout=1)
        assert await answer.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(waiting.cancelled.wait(), 10)


@pytest.mark.parametrize(
    ("path", "sent", "expected"),
    [
        (UNARY, [b""], ([LIVE], "OK", "")),
        (UNARY, [b"", UNREADABLE], ([LIVE], "OK", "")),
        (UNARY, [UNREADABLE], ([], "INTERNAL", "Unable to parse request")),
        (STREAM, [], ([], "OK", "")),
        (STREAM, [b"", b"", b""], ([LIVE, LIVE, LIVE], "OK", "")),
        (STREAM, [b"", UNREADABLE], ([LIVE], "INTERNAL", "Unable to parse request")),
        ("/a.B/Unknown", [b""], ([], "UNIMPLEMENTED", "")),
        ("/a.B/Unknown", [], ([], "UNIMPLEMENTED", "")),
    ],
)
async def test_what_is_sent_is_answered_alike(
    kind: str, path: str, sent: Sequence[bytes], expected: tuple[list[bytes], str, str]
) -> None:
    async with served(kind, unary(live), stream(echo)) as (_, address):
        assert await outcome(address, path, sent) == expected


async def test_a_stream_answers_while_its_client_goes_on(kind: str) -> None:
    async with served(kind, stream(echo)) as (_, address), grpc.aio.insecure_channel(address) as channel:
        call: Any = cast(Any, channel.stream_stream(STREAM, None, None))(timeout=20)
        for _ in range(3):
            await call.write(b"")
            assert await call.read() == LIVE
        await call.done_writing()
        assert not await call.read()
        assert await call.code() is grpc.StatusCode.OK


async def test_a_stream_that_fails_keeps_what_it_answered(kind: str) -> None:
    async def failing(requests: AsyncIterator[Any], call: Call) -> AsyncIterator[ServerLiveResponse]:
        async for _ in requests:
            yield ServerLiveResponse(live=True)
        raise ServeError(StatusCode.NOT_FOUND, "no more")

    async with served(kind, stream(failing)) as (_, address):
        assert await outcome(address, STREAM, [b""]) == ([LIVE], "NOT_FOUND", "no more")


async def test_new_calls_are_refused_while_accepted_ones_are_answered(kind: str) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def waiting(request: Any, call: Call) -> ServerLiveResponse:
        entered.set()
        await release.wait()
        return ServerLiveResponse(live=True)

    async with served(kind, unary(waiting)) as (server, address), grpc.aio.insecure_channel(address) as channel:
        accepted = channel.unary_unary(UNARY, None, None)(b"", timeout=20)
        await entered.wait()
        server.stop_accepting()
        refused = channel.unary_unary(UNARY, None, None)(b"", timeout=20)
        assert (await refused.code(), await refused.details()) == (
            grpc.StatusCode.UNAVAILABLE,
            "GRPC server is shutting down and has stopped accepting new requests.",
        )
        draining = asyncio.create_task(server.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        release.set()
        await asyncio.wait_for(draining, 10)
        assert await accepted == LIVE


async def test_stopping_at_once_cancels_what_is_open(kind: str) -> None:
    waiting = Waiting()
    async with served(kind, unary(waiting)) as (server, address), grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(UNARY, None, None)(b"", timeout=20)
        await waiting.entered.wait()
        await server.stop()
        await asyncio.wait_for(waiting.cancelled.wait(), 10)
        assert await call.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_front_end_that_was_never_started_can_be_stopped_twice(kind: str) -> None:
    server = make_front_end(kind, unary(live))
    server.stop_accepting()
    await server.drain()
    for _ in range(2):
        await server.stop()
        await server.release()


async def test_a_port_in_use_is_refused_and_not_shared(kind: str) -> None:
    async with served(kind, unary(live)) as (_, address):
        port = int(address.rpartition(":")[2])
        with pytest.raises(FrontEndError, match=f"Socket '127.0.0.1:{port}' already in use"):
            await make_front_end(kind, unary(live), port=port).start()


async def test_a_port_can_be_shared_if_both_agree(kind: str) -> None:
    async with served(kind, unary(live), reuse_port=True) as (_, address):
        port = int(address.rpartition(":")[2])
        async with served(kind, unary(live), reuse_port=True, port=port) as (_, second):
            assert second == address


def test_a_path_is_served_once() -> None:
    method = unary(live)
    with pytest.raises(ValueError, match=r"/a\.B/Unary is served twice"):
        MethodTable([method], [method])
