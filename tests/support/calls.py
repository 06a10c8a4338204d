"""One gRPC call as a value, and what a client saw of it, so that two servers can be asked the same."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import grpc
import grpc.aio

Metadata = tuple[tuple[str, str | bytes], ...]

# Nothing of what a server sends is refused by the client, and no two channels share a connection.
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)
TIMEOUT_SECONDS = 60.0


def _as_it_came(message: bytes) -> bytes:
    return message


@dataclass(frozen=True, kw_only=True)
class CallCase:
    """A call, byte for byte, and the status that it must end with.

    stream: it is made as a streaming call, whatever the server takes the method for; otherwise it has one request.
    comparable: what of a response two servers must agree on. details_end: of the status message they must agree on
    what stands before this; the corpus gives the reason. ends_early: the server answers before it has read all; if
    grpc.aio's client then writes too late it says INTERNAL, so only the blocking client makes such a call.
    """

    method: str
    requests: tuple[bytes, ...] = (b"",)
    code: str = "OK"
    stream: bool = False
    metadata: Metadata = ()
    compression: grpc.Compression = grpc.Compression.NoCompression
    comparable: Callable[[bytes], bytes] = field(default=_as_it_came, repr=False)
    details_end: str | None = None
    ends_early: bool = False

    def said(self, details: str | None) -> str:
        """Return the part of a status message that is compared."""
        said = details or ""
        return said if self.details_end is None else said.partition(self.details_end)[0]


@dataclass(frozen=True)
class Outcome:
    """All that a client is told of a call. Metadata is sorted."""

    code: str
    details: str
    initial_metadata: Metadata
    trailing_metadata: Metadata
    responses: tuple[bytes, ...]


def call_blocking(channel: grpc.Channel, case: CallCase) -> Outcome:
    """Make the call with grpcio's blocking client."""
    responses: list[bytes] = []
    if case.stream:
        stream = channel.stream_stream(case.method, None, None)
        answers = stream(iter(case.requests), TIMEOUT_SECONDS, case.metadata, compression=case.compression)
        with suppress(grpc.RpcError):  # the call itself says how it ended
            responses.extend(answers)
        call: grpc.Call = answers
    else:
        unary = channel.unary_unary(case.method, None, None)
        future = unary.future(case.requests[0], TIMEOUT_SECONDS, case.metadata, compression=case.compression)
        if future.exception() is None:
            responses.append(future.result())
        call = future
    return Outcome(
        call.code().name,
        case.said(call.details()),
        _sorted(call.initial_metadata()),
        _sorted(call.trailing_metadata()),
        tuple(case.comparable(response) for response in responses),
    )


async def call_on_loop(channel: grpc.aio.Channel, case: CallCase) -> Outcome:
    """Make the call with grpcio's asyncio client."""
    responses: list[bytes] = []
    call: grpc.aio.Call
    try:
        if case.stream:
            stream = channel.stream_stream(case.method, None, None)
            call = stream(iter(case.requests), TIMEOUT_SECONDS, case.metadata, compression=case.compression)
            async for response in call:
                responses.append(response)
        else:
            unary = channel.unary_unary(case.method, None, None)
            call = unary(
                case.requests[0], timeout=TIMEOUT_SECONDS, metadata=case.metadata, compression=case.compression
            )
            responses.append(await call)
    except grpc.aio.AioRpcError:
        pass  # the call itself says how it ended
    code, details = await call.code(), await call.details()
    initial, trailing = await call.initial_metadata(), await call.trailing_metadata()
    return Outcome(
        code.name,
        case.said(details),
        _sorted(initial),
        _sorted(trailing),
        tuple(case.comparable(response) for response in responses),
    )


def _sorted(metadata: object) -> Metadata:
    return tuple(sorted(_pairs(metadata)))


def _pairs(metadata: object) -> Iterator[tuple[str, str | bytes]]:
    for key, value in metadata or ():  # type: ignore[attr-defined]  # any of grpcio's metadata types
        yield str(key), value
