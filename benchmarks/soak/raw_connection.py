"""A gRPC client on a socket of its own, over the `h2` package: it can read, write and leave as it likes."""

import asyncio
import socket
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.settings import SettingCodes, Settings

from benchmarks.grpc_bytes import DEFAULT_WINDOW, MAX_WINDOW, PREFIX_BYTES, call_fields, framed
from benchmarks.soak.load import Load
from benchmarks.soak.models import difference

READ_BYTES = 64 * 1024
# Closing with a linger of zero seconds sends RST instead of FIN.
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass
class Exchange:
    """What one h2 stream brought."""

    headers: int = 0
    body: bytearray = field(default_factory=bytearray)
    status: str = ""
    ends: int = 0
    reset: bool = False

    def mistake(self, model: str, payload: bytes, identifier: str) -> str:
        """Return what is wrong with this as the answer to a request; nothing if it is the one right answer."""
        if (self.headers, self.ends, self.status, self.reset) != (1, 1, "0", False):
            return f"{self.headers} headers, {self.ends} ends, status {self.status!r}, reset {self.reset}"
        message = bytes(self.body[PREFIX_BYTES:])
        if self.body != framed(message):
            return "the answer is not one plain message"
        return difference(message, model, payload, identifier)


class RawConnection:
    """One connection; `exchanges` holds what each h2 stream brought so far.

    window: what the server may send unasked, per h2 stream. While `credit` is set, it gets back what is read at once.
    """

    def __init__(self, stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], window: int) -> None:
        self._reader, self._writer = stream
        self._h2 = H2Connection(H2Configuration(client_side=True))
        self._h2.local_settings = Settings(initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window})
        self._h2.initiate_connection()
        if window > DEFAULT_WINDOW:
            self._h2.increment_flow_control_window(window - DEFAULT_WINDOW)
        self._withheld: list[tuple[int, int]] = []
        self._left = False
        self.exchanges: defaultdict[int, Exchange] = defaultdict(Exchange)
        self.credit = True

    async def start_call(self, path: str, metadata: Sequence[tuple[str, str]] = ()) -> int:
        """Send a call's headers; return its h2 stream."""
        stream_id = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream_id, [*call_fields(path), *metadata])
        await self._flush()
        return stream_id

    async def send(self, stream_id: int, body: bytes, *, end: bool = True) -> None:
        """Send DATA as the server's windows allow."""
        view = memoryview(body)
        while True:
            room = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
            if room == 0 and view:
                await self.read()
                continue
            piece, view = bytes(view[:room]), view[room:]
            self._h2.send_data(stream_id, piece, end_stream=end and not view)
            await self._flush()
            if not view:
                return

    async def reset(self, stream_id: int) -> None:
        """Cancel a call by RST_STREAM."""
        self._h2.reset_stream(stream_id, error_code=0x8)
        await self._flush()

    async def read(self) -> None:
        """Take what the server sent next. Raises ConnectionError at the end, ProtocolError if the server errs."""
        received = await self._reader.read(READ_BYTES)
        if not received:
            raise ConnectionError("the server closed the connection")
        for event in self._h2.receive_data(received):
            self._note(event)
        if self.credit:
            self._return_credit()
        await self._flush()

    async def finish(self, stream_id: int) -> Exchange:
        """Read until a call has ended; return all that it brought."""
        while not self.exchanges[stream_id].ends and not self.exchanges[stream_id].reset:
            await self.read()
        return self.exchanges[stream_id]

    async def return_credit(self) -> None:
        """Give back the window of what was read."""
        self._return_credit()
        await self._flush()

    def abort(self) -> None:
        """Leave at once, by a TCP reset. Nothing happens if it has left already."""
        if self._left or self._writer.is_closing():
            return
        self._left = True
        socket_ = self._writer.get_extra_info("socket")
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._writer.transport.abort()

    async def close(self) -> None:
        """Leave as one should: say so, and read to the end. Nothing happens if it has left already."""
        if self._left:
            return
        self._h2.close_connection()
        await self._flush()
        self._writer.write_eof()
        while await self._reader.read(READ_BYTES):
            pass
        self._left = True
        self._writer.close()

    def _note(self, event: Event) -> None:
        if isinstance(event, ResponseReceived):
            self.exchanges[event.stream_id].headers += 1
            self._note_status(event)
        elif isinstance(event, TrailersReceived):
            self._note_status(event)
        elif isinstance(event, DataReceived):
            self.exchanges[event.stream_id].body += event.data
            self._withheld.append((event.stream_id, event.flow_controlled_length))
        elif isinstance(event, StreamEnded):
            self.exchanges[event.stream_id].ends += 1
        elif isinstance(event, StreamReset):
            self.exchanges[event.stream_id].reset = True

    def _note_status(self, event: ResponseReceived | TrailersReceived) -> None:
        status = dict(event.headers).get(b"grpc-status", b"")
        self.exchanges[event.stream_id].status = status.decode()

    def _return_credit(self) -> None:
        for stream_id, length in self._withheld:
            self._h2.acknowledge_received_data(length, stream_id)
        self._withheld.clear()

    async def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())
        await self._writer.drain()


@asynccontextmanager
async def connected(load: Load, *, window: int = MAX_WINDOW) -> AsyncIterator[RawConnection]:
    """Open a connection; it is closed at the end, and reset if it could not be."""
    connection = RawConnection(await asyncio.open_connection(load.host, load.port), window)
    try:
        yield connection
        await connection.close()
    finally:
        connection.abort()
