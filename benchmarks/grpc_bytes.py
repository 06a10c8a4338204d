"""HTTP/2 bytes of gRPC calls for clients that own their socket: written and read with hyperframe and hpack."""

from collections.abc import Sequence

from hpack import Encoder
from hyperframe.frame import DataFrame, HeadersFrame, SettingsFrame, WindowUpdateFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PREFIX_BYTES = 5
FRAME_HEADER_BYTES = 9
END_STREAM = 0x1
DATA, GOAWAY = 0x0, 0x7
SETTINGS_ACK = SettingsFrame(0, flags=["ACK"]).serialize()
MAX_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65_535
MAX_FRAME_BYTES = 16_384

INFER = "/inference.GRPCInferenceService/ModelInfer"
SERVER_LIVE = "/inference.GRPCInferenceService/ServerLive"


def hello(*, window: int = MAX_WINDOW) -> bytes:
    """Return a client's first bytes; `window` is what it lets the server send unasked, per h2 stream and in all."""
    opening = PREFACE + SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: window}).serialize()
    if window > DEFAULT_WINDOW:
        opening += WindowUpdateFrame(0, window_increment=window - DEFAULT_WINDOW).serialize()
    return opening


def call_fields(path: str) -> list[tuple[str, str]]:
    """Return the header fields of a gRPC request."""
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]


def call_headers(stream_id: int, path: str, extra: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return a call's HEADERS. Any of them may follow any other: none refers to what an earlier one defined."""
    block = Encoder().encode([*call_fields(path), *extra])
    return HeadersFrame(stream_id, block, flags=["END_HEADERS"]).serialize()


def framed(message: bytes) -> bytes:
    """Return a message with gRPC's prefix, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def message_frames(stream_id: int, message: bytes, *, end: bool = True) -> bytes:
    """Return one message as DATA frames; the last ends the h2 stream."""
    body = framed(message)
    pieces = [body[start : start + MAX_FRAME_BYTES] for start in range(0, len(body), MAX_FRAME_BYTES)]
    serialized = [DataFrame(stream_id, piece).serialize() for piece in pieces[:-1]]
    last = DataFrame(stream_id, pieces[-1], flags=["END_STREAM"] if end else [])
    return b"".join([*serialized, last.serialize()])


def take_frames(received: bytearray) -> list[tuple[int, int, int, bytes]]:
    """Take the whole frames out of what was received: type, flags, h2 stream, payload."""
    taken, start = [], 0
    while len(received) - start >= FRAME_HEADER_BYTES:
        payload = start + FRAME_HEADER_BYTES
        end = payload + int.from_bytes(received[start : start + 3], "big")
        if len(received) < end:
            break
        stream_id = int.from_bytes(received[start + 5 : payload], "big") & MAX_WINDOW
        taken.append((received[start + 3], received[start + 4], stream_id, bytes(received[payload:end])))
        start = end
    del received[:start]
    return taken
