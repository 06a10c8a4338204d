"""Clients that do not speak the protocol, or stop to. The server must let go of each of them, and of nobody else."""

import asyncio

from benchmarks.grpc_bytes import DATA, INFER, PREFIX_BYTES, call_headers, framed, hello, message_frames, take_frames
from benchmarks.soak.abuse import other_client
from benchmarks.soak.load import Load
from benchmarks.soak.models import difference, request_bytes

HEADERS, SETTINGS, PUSH_PROMISE, PING, WINDOW_UPDATE, CONTINUATION = 0x1, 0x4, 0x5, 0x6, 0x8, 0x9
END_HEADERS, PADDED = 0x4, 0x8
HTTP_1 = b"POST /v2/models/exact/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"


def broken_frames() -> list[bytes]:
    """Return frames that RFC 9113 forbids, each enough to end a connection."""
    return [
        b"\xff\xff\xff\0\0\0\0\0\1",  # DATA longer than SETTINGS_MAX_FRAME_SIZE
        _frame(SETTINGS, 0, 0, b"\0" * 5),  # no multiple of 6
        _frame(SETTINGS, 0, 0, b"\0\5\0\0\0\1"),  # a SETTINGS_MAX_FRAME_SIZE of 1
        _frame(HEADERS, END_HEADERS, 1, b"\xff" * 4),  # no HPACK
        _frame(HEADERS, END_HEADERS, 0, b"\x82"),
        _frame(HEADERS, END_HEADERS, 2, b"\x82"),  # a server's h2 stream
        _frame(HEADERS, 0, 1, b"\x82") + PING_FRAME,  # a header block torn apart
        _frame(CONTINUATION, END_HEADERS, 1, b"\x82"),  # of no header block
        _frame(DATA, 0, 0, b"\0"),
        _frame(DATA, PADDED, 1, b"\xff\0"),  # more padding than payload
        _frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2,  # more than a window can be
        _frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
        _frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2\x82"),  # a client does not push
        _frame(PING, 0, 0, b"\0"),
    ]


async def garbage(load: Load) -> None:
    """Bytes of every wrong kind, each on a connection of its own, beside a client who is served."""
    noise = load.random.randbytes(load.random.randrange(1, 100_000))
    talks = [noise, HTTP_1, hello()[:10] + noise, hello() + noise, hello() + PING_FRAME * 100, b"", hello()]
    talks += [hello() + frame for frame in broken_frames()]
    await asyncio.gather(*(_say(load, talk) for talk in talks), other_client(load))


async def call_then_garbage(load: Load) -> None:
    """A proper call with garbage right behind it: it may be answered, or be given up with its connection."""
    for rubbish in (load.random.randbytes(1000), *broken_frames()[:2]):
        payload, identifier = load.payloads.take("mixed"), load.identifier()
        message = request_bytes("mixed", payload, identifier)
        load.ledger.send("mixed")
        received = await _say(load, hello() + call_headers(1, INFER) + message_frames(1, message) + rubbish)
        body = b"".join(piece for kind, _, stream, piece in take_frames(received) if (kind, stream) == (DATA, 1))
        if body and body == framed(body[PREFIX_BYTES:]):
            load.ledger.answer("mixed", difference(body[PREFIX_BYTES:], "mixed", payload, identifier))
        else:
            load.ledger.give_up("mixed")


async def silent(load: Load) -> None:
    """Connections that say nothing at all, or only their preface."""
    opened = [await asyncio.open_connection(load.host, load.port) for _ in range(4)]
    for _, writer in opened[2:]:
        writer.write(hello())
    await load.rest()
    for _, writer in opened:
        writer.transport.abort()


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return a frame as it stands: hyperframe refuses to write most of the broken ones."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


PING_FRAME = _frame(PING, 0, 0, b"\0" * 8)


async def _say(load: Load, talk: bytes) -> bytearray:
    """Send bytes and no more, and return what comes until the server closes the connection."""
    reader, writer = await asyncio.open_connection(load.host, load.port)
    received = bytearray()
    try:
        writer.write(talk)
        writer.write_eof()
        while part := await reader.read(64 * 1024):
            received += part
    except OSError:
        pass  # a reset is an end as well, also one that comes before our own
    finally:
        writer.transport.abort()
    return received
