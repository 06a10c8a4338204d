"""Bytes that are no gRPC call, made by hand: the connection or the call ends as RFC 9113 says, and others go on."""

import struct

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, SettingsFrame
from support.h2_client import H2Client, call_headers, framed, frames, goaways
from support.wire_pair import UNARY, wire_pair

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GARBAGE = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "zeros": bytes(100),
    "a preface cut by garbage": PREFACE[:20] + bytes(100),
    "a preface without settings": PREFACE + DataFrame(1, b"x").serialize(),
}
START = PREFACE + SettingsFrame(0).serialize()


def block() -> bytes:
    return Encoder().encode(call_headers(UNARY, ("key", "value" * 10)))


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_ends_its_connection_alone(name: str) -> None:
    async with wire_pair() as pair:
        sound, broken = pair.connect(), pair.connect_raw()
        broken.deliver(GARBAGE[name])
        await pair.until(lambda: broken.closed)
        assert (await sound.answer(sound.client.call(UNARY, b"m"))).messages == [b"m"]


ERRORS = {
    "a frame over the size limit": (
        struct.pack(">I", 16385)[1:] + b"\0\0" + struct.pack(">I", 1) + bytes(16385),
        ErrorCodes.FRAME_SIZE_ERROR,
    ),
    "data on stream 0": (b"\0\0\1\0\0\0\0\0\0x", ErrorCodes.PROTOCOL_ERROR),
    "an even stream": (HeadersFrame(2, block(), flags=["END_HEADERS"]).serialize(), ErrorCodes.PROTOCOL_ERROR),
    "headers that are no HPACK": (
        HeadersFrame(1, b"\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS"]).serialize(),
        ErrorCodes.COMPRESSION_ERROR,
    ),
    "data between headers and continuation": (
        HeadersFrame(1, block()[:5]).serialize() + DataFrame(1, b"x").serialize(),
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "a settings frame of a wrong length": (b"\0\0\5\4\0\0\0\0\0" + bytes(5), ErrorCodes.FRAME_SIZE_ERROR),
    "a window that overflows": (
        b"\0\0\4\x08\0\0\0\0\0\x7f\xff\xff\xff" * 2,
        ErrorCodes.FLOW_CONTROL_ERROR,
    ),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_a_breach_of_the_protocol_is_named_and_ends_the_connection(name: str) -> None:
    data, code = ERRORS[name]
    async with wire_pair() as pair:
        link = pair.connect_raw()
        link.deliver(START + data)
        await pair.until(lambda: link.closed)
        assert goaways(bytes(link.written)) == [code]


async def test_headers_in_continuations_and_padding_are_a_call_like_any_other() -> None:
    async with wire_pair() as pair:
        link = pair.connect_raw()
        client = H2Client()
        client.start(UNARY)  # the answers' frames mean something to it; its own stay unsaid
        client.output()
        headers = HeadersFrame(1, block()[:10], pad_length=7, flags=["PADDED"])
        parts = [ContinuationFrame(1, block()[10:20]), ContinuationFrame(1, block()[20:], flags=["END_HEADERS"])]
        body = DataFrame(1, framed(b"padded"), pad_length=100, flags=["PADDED", "END_STREAM"])
        link.deliver(START + b"".join(frame.serialize() for frame in (headers, *parts, body)), cut=11)
        await pair.until(lambda: any(isinstance(frame, HeadersFrame) for frame in frames(bytes(link.written))))
        client.receive(bytes(link.written))
        assert (client.answers[1].messages, client.answers[1].status) == ([b"padded"], (0, ""))


async def test_trailers_of_the_client_end_its_call() -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        stream_id = link.client.start(UNARY)
        link.client.send(stream_id, framed(b"m"))
        link.client.connection.send_headers(stream_id, [("x-trailer", "1")], end_stream=True)
        assert (await link.answer(stream_id)).messages == [b"m"]


@pytest.mark.parametrize(("name", "value", "status"), [("method", "GET", "405"), ("content_type", "text/html", "415")])
async def test_what_is_no_grpc_call_is_told_so_by_http(name: str, value: str, status: str) -> None:
    async with wire_pair() as pair:
        link = pair.connect()
        stream_id = link.client.start(UNARY, end=True, **{name: value})
        answer = await link.answer(stream_id)
        assert dict(answer.headers)[":status"] == status
        assert not pair.echo.calls
