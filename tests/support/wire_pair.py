"""A `_wire` endpoint and HTTP/2 clients of another make, joined in memory on a real event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from npuserve._wire import Endpoint, Limits, Route, ServerCall
from support.h2_client import Answer, H2Client

# Only a broken test waits this long.
PATIENCE_SECONDS = 20.0
INFER_PATH = "/inference.GRPCInferenceService/ModelInfer"
UNARY = "/test.Echo/Unary"
STREAM = "/test.Echo/Stream"
HELD = "/test.Echo/Held"


class Changes:
    """Lets a test wait for a state: it looks again after each change."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def note(self) -> None:
        self._event.set()

    async def until(self, reached: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not reached():
                self._event.clear()
                await self._event.wait()


class MemoryTransport(asyncio.Transport):
    """Hands what the protocol writes to a receiver; keeps it back while `hold` says so."""

    def __init__(self, receive: Callable[[bytes], None], changes: Changes) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000)})
        self._receive = receive
        self._changes = changes
        self.protocol: Any = None
        self.high_water = 0
        self.closed = False
        self.aborted = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closed:
            self._receive(bytes(data))
            self._changes.note()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high_water = high or 0

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._lose)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def _lose(self) -> None:
        self.protocol.connection_lost(None)
        self._changes.note()


class Link:
    """One connection. Bytes from the client are fed by `deliver`; those from the server reach `receive`.

    A real transport would deliver on a later turn of the loop, so what a client says in answer goes out on one, too.
    """

    def __init__(self, endpoint: Endpoint, changes: Changes) -> None:
        self.changes = changes
        self.written = bytearray()
        self.transport = MemoryTransport(self._on_write, changes)
        self.protocol: Any = endpoint.protocol()
        self.transport.set_protocol(self.protocol)
        self.protocol.connection_made(self.transport)

    def deliver(self, data: bytes, *, cut: int | None = None) -> None:
        """Feed bytes, in pieces of at most `cut`."""
        step = cut or len(data)
        for begin in range(0, len(data), step):
            self._feed(data[begin : begin + step])

    def _feed(self, piece: bytes) -> None:
        while piece and not self.transport.closed:
            buffer = self.protocol.get_buffer(len(piece))
            size = min(len(buffer), len(piece))
            buffer[:size] = piece[:size]
            self.protocol.buffer_updated(size)
            piece = piece[size:]

    def pause_writing(self) -> None:
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self.protocol.resume_writing()

    def disconnect(self) -> None:
        """The client goes away without a word."""
        self.transport.closed = True
        self.protocol.connection_lost(ConnectionResetError())

    @property
    def closed(self) -> bool:
        return self.transport.closed

    def _on_write(self, data: bytes) -> None:
        self.written += data


class H2Link(Link):
    """A connection with an `H2Client` at its other end."""

    def __init__(self, endpoint: Endpoint, changes: Changes, client: H2Client) -> None:
        self.client = client
        self._scheduled = False
        super().__init__(endpoint, changes)

    def flush(self, *, cut: int | None = None) -> None:
        """Deliver what the client has to say."""
        if output := self.client.output():
            self.deliver(output, cut=cut)

    async def answer(self, stream_id: int) -> Answer:
        """Return the call's answer once it is over."""
        self.flush()
        answer = self.client.answers[stream_id]
        await self.changes.until(lambda: answer.over)
        return answer

    async def until(self, reached: Callable[[], object]) -> None:
        self.flush()
        await self.changes.until(reached)

    def _on_write(self, data: bytes) -> None:
        super()._on_write(data)
        self.client.receive(data)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        self._scheduled = False
        if not self.transport.closed:
            self.flush()
        self.changes.note()


class EchoService:
    """The handlers: UNARY and STREAM give messages back, HELD leaves its calls to the test, others are unknown.

    `calls` holds every call that was dispatched, in order.
    """

    def __init__(self, changes: Changes) -> None:
        self.calls: list[ServerCall] = []
        self.responses: dict[str, Callable[[bytes], bytes]] = {}
        self._changes = changes

    def dispatch(self, call: ServerCall) -> None:
        self.calls.append(call)
        serve = {UNARY: self._serve_unary, STREAM: self._serve_stream, HELD: self._hold}.get(call.path)
        if serve is None:
            call.finish(12, "")
            return
        call.listener = lambda: serve(call)
        serve(call)

    def _serve_unary(self, call: ServerCall) -> None:
        self._changes.note()
        message = call.take_message()
        if message is not None:
            call.send(message)
            call.finish(0, "")
        elif call.half_closed and not call.ended:
            call.finish(13, "no message")

    def _serve_stream(self, call: ServerCall) -> None:
        self._changes.note()
        while (message := call.take_message()) is not None:
            call.send(message)
        if call.half_closed and not call.ended:
            call.finish(0, "", [("count", str(len(self.calls)))])

    def _hold(self, call: ServerCall) -> None:
        self._changes.note()


class WirePair:
    """An endpoint with its echo service, and connections to it."""

    def __init__(self, **limits: int) -> None:
        self.changes = Changes()
        self.echo = EchoService(self.changes)
        self.failures: list[tuple[str, str]] = []
        self.endpoint = Endpoint(
            Limits(**limits),
            self.echo.dispatch,
            on_failure=lambda model, reason: self.failures.append((model, reason)),
            infer_path=INFER_PATH,
        )
        self.endpoint.start(asyncio.get_running_loop())
        self._links: list[Link] = []

    def connect(self, client: H2Client | None = None) -> H2Link:
        """A connection whose client has sent its preface."""
        link = H2Link(self.endpoint, self.changes, client or H2Client())
        self._links.append(link)
        link.flush()
        return link

    def connect_raw(self) -> Link:
        """A connection whose client is the test."""
        link = Link(self.endpoint, self.changes)
        self._links.append(link)
        return link

    def set_routes(self, *routes: Route) -> None:
        self.endpoint.set_routes(routes)

    async def until(self, reached: Callable[[], object]) -> None:
        await self.changes.until(reached)

    async def close(self) -> None:
        self.endpoint.abort()
        await self.until(lambda: all(link.closed for link in self._links) and self.endpoint.connections == 0)
        self.endpoint.close()


@asynccontextmanager
async def wire_pair(**limits: int) -> AsyncIterator[WirePair]:
    """An endpoint with these limits. At the end nothing of the memory budget is in use."""
    pair = WirePair(**limits)
    try:
        yield pair
    finally:
        await pair.close()
    assert pair.endpoint.used_memory_bytes == 0
    assert pair.endpoint.open_calls == 0
