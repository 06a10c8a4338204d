"""The client's side of gRPC over HTTP/2, sans-I/O, on the `h2` package: an independent witness of the wire."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

FRAME_HEADER_BYTES = 9

Header = tuple[str, str]


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """The message behind gRPC's prefix."""
    return struct.pack(">BI", compressed, len(message)) + message


def unframed(data: bytes) -> list[bytes]:
    """The whole messages of a body, without their prefixes. Raises ValueError if one is cut."""
    messages = []
    while data:
        _, length = struct.unpack(">BI", data[:5])
        if len(data) < 5 + length:
            raise ValueError(f"a message of {length} bytes is cut at {len(data) - 5}")
        messages.append(data[5 : 5 + length])
        data = data[5 + length :]
    return messages


def frames(data: bytes) -> list[Frame]:
    """The whole frames that a server has sent."""
    found = []
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:FRAME_HEADER_BYTES]))
        end = FRAME_HEADER_BYTES + length
        frame.parse_body(memoryview(data[FRAME_HEADER_BYTES:end]))
        found.append(frame)
        data = data[end:]
    return found


def goaways(data: bytes) -> list[int]:
    """The error codes of the GOAWAY frames among them."""
    return [frame.error_code for frame in frames(data) if isinstance(frame, GoAwayFrame)]


def call_headers(path: str, *extra: Header, **replaced: str | None) -> list[Header]:
    """A gRPC call's request headers. `replaced` changes some (`content_type`, `method`), None leaves one out."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    for name, value in replaced.items():
        key = name.replace("_", "-")
        key = f":{key}" if f":{key}" in headers else key
        if value is None:
            del headers[key]
        else:
            headers[key] = value
    return [*headers.items(), *extra]


@dataclass
class Answer:
    """What came back on one h2 stream so far."""

    headers: list[Header] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    trailers: list[Header] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None

    @property
    def messages(self) -> list[bytes]:
        return unframed(bytes(self.data))

    @property
    def status(self) -> tuple[int, str]:
        """grpc-status and grpc-message, wherever they are."""
        last = dict(self.trailers or self.headers)
        return int(last["grpc-status"]), last.get("grpc-message", "")


class H2Client:
    """Bytes in, answers by stream id, bytes to send.

    window: the initial window of every h2 stream; None keeps 65535. acknowledge: whether received data is credited
    back at once; else the test does it with `credit`.
    """

    def __init__(self, *, window: int | None = None, acknowledge: bool = True, max_frame: int | None = None) -> None:
        self.connection = H2Connection(
            H2Configuration(header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        values = {SettingCodes.INITIAL_WINDOW_SIZE: window, SettingCodes.MAX_FRAME_SIZE: max_frame}
        self.connection.local_settings = Settings(
            client=True, initial_values={code: value for code, value in values.items() if value is not None}
        )
        self._acknowledge = acknowledge
        self.answers: dict[int, Answer] = {}
        self.goaway: GoAwayFrame | None = None
        self._cut = b""
        self.ping_answers: list[bytes] = []
        self.settings_acknowledged = 0
        self.data_frames: list[tuple[int, int]] = []
        self._unsent: dict[int, tuple[bytearray, bool]] = {}
        self.connection.initiate_connection()

    # --- What the test says.

    def start(self, path: str, *extra: Header, end: bool = False, **replaced: str | None) -> int:
        """Open a call; return its stream's id."""
        return self.open(call_headers(path, *extra, **replaced), end=end)

    def open(self, headers: Iterable[Header], *, end: bool = False) -> int:
        """Open an h2 stream with any headers."""
        stream_id = self.connection.get_next_available_stream_id()
        self.answers[stream_id] = Answer()
        self.connection.send_headers(stream_id, list(headers), end_stream=end)
        return stream_id

    def send(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        """Queue bytes of a body; they leave as the server's windows allow."""
        waiting, _ = self._unsent.get(stream_id, (bytearray(), False))
        self._unsent[stream_id] = (waiting + data, end)
        self._send_what_fits()

    def call(self, path: str, *messages: bytes, headers: Iterable[Header] = ()) -> int:
        """Make a whole call."""
        stream_id = self.start(path, *headers, end=not messages)
        if messages:
            self.send(stream_id, b"".join(map(framed, messages)), end=True)
        return stream_id

    def reset(self, stream_id: int, code: int = ErrorCodes.CANCEL) -> None:
        self._unsent.pop(stream_id, None)
        self.connection.reset_stream(stream_id, code)

    def credit(self, amount: int, stream_id: int | None = None) -> None:
        """Open a window: of an h2 stream, or of the connection."""
        self.connection.increment_flow_control_window(amount, stream_id)

    def unsent(self, stream_id: int) -> int:
        """Bytes of a body that the server's windows hold back."""
        return len(self._unsent[stream_id][0]) if stream_id in self._unsent else 0

    def output(self) -> bytes:
        """Take the bytes to send."""
        return self.connection.data_to_send()

    # --- What the server says.

    def receive(self, data: bytes) -> None:
        data = self._cut + data
        while len(data) >= FRAME_HEADER_BYTES:
            frame, length = Frame.parse_frame_header(memoryview(data[:FRAME_HEADER_BYTES]))
            end = FRAME_HEADER_BYTES + length
            if len(data) < end:
                break
            self._receive_frame(frame, data[:end])
            data = data[end:]
        self._cut = data
        self._send_what_fits()

    def _receive_frame(self, frame: Frame, data: bytes) -> None:
        """Take one frame. `h2` would take nothing behind a GOAWAY, although open calls go on, so it is not told."""
        if isinstance(frame, GoAwayFrame):
            frame.parse_body(memoryview(data[FRAME_HEADER_BYTES:]))
            self.goaway = frame
            return
        for event in self.connection.receive_data(data):
            self._note(event)

    def _note(self, event: Event) -> None:
        match event:
            case ResponseReceived(stream_id=int(stream_id), headers=headers):
                self.answers[stream_id].headers = _text(headers)
            case TrailersReceived(stream_id=int(stream_id), headers=headers):
                self.answers[stream_id].trailers = _text(headers)
            case DataReceived(stream_id=int(stream_id), data=bytes(data)):
                self._note_data(stream_id, data, event.flow_controlled_length or 0)
            case StreamEnded(stream_id=int(stream_id)):
                self.answers[stream_id].ended = True
            case StreamReset(stream_id=int(stream_id)):
                self.answers[stream_id].reset = int(event.error_code or 0)
                self._unsent.pop(stream_id, None)
            case PingAckReceived(ping_data=bytes(data)):
                self.ping_answers.append(data)
            case SettingsAcknowledged():
                self.settings_acknowledged += 1

    def _note_data(self, stream_id: int, data: bytes, credit: int) -> None:
        self.answers[stream_id].data += data
        self.data_frames.append((stream_id, len(data)))
        if self._acknowledge and credit:
            self.connection.acknowledge_received_data(credit, stream_id)

    def _send_what_fits(self) -> None:
        for stream_id, (waiting, end) in list(self._unsent.items()):
            while waiting:
                size = min(
                    len(waiting),
                    self.connection.local_flow_control_window(stream_id),
                    self.connection.max_outbound_frame_size,
                )
                if size <= 0:
                    break
                self.connection.send_data(stream_id, bytes(waiting[:size]), end_stream=end and size == len(waiting))
                del waiting[:size]
            if not waiting:
                del self._unsent[stream_id]


def _text(headers: Iterable[tuple[str | bytes, str | bytes]] | None) -> list[Header]:
    return [
        (name if isinstance(name, str) else name.decode(), value if isinstance(value, str) else value.decode())
        for name, value in headers or ()
    ]
