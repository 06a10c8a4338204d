"""A closed loop of gRPC calls over one connection. The requests are made before: the processors are the servers'.

At a thousand requests a second Triton's own client takes a third of a processor, which says nothing of a server.
"""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count, cycle

from hyperframe.frame import PingFrame

from benchmarks.grpc_bytes import (
    DATA,
    END_STREAM,
    FRAME_HEADER_BYTES,
    GOAWAY,
    INFER,
    SETTINGS_ACK,
    call_headers,
    hello,
    message_frames,
    take_frames,
)

HEADERS, RESET, SETTINGS, PING = 0x1, 0x3, 0x4, 0x6
ACK = 0x1
READ_BYTES = 1 << 20
ANSWER_SECONDS = 60
CONNECTIONS = 4


class _Request:
    """The frames of one request, into which a stream's number is written; and what its answer must contain."""

    def __init__(self, message: bytes, answer: bytes) -> None:
        self.answer = answer
        self._headers = call_headers(1, INFER)
        self._data = message_frames(1, message)
        if len(self._data) != FRAME_HEADER_BYTES + int.from_bytes(self._data[:3], "big"):
            raise ValueError("a request must fit one frame")

    def frames(self, stream_id: int) -> bytes:
        number = stream_id.to_bytes(4, "big")
        headers, data = self._headers, self._data
        return b"".join((headers[:5], number, headers[9:], data[:5], number, data[9:]))


class _ClosedError(ValueError):
    """The server closed the connection before it answered anything."""


def closed_loop(address: str, requests: Sequence[tuple[bytes, bytes]], in_flight: int, seconds: float) -> float:
    """Keep so many requests in flight and return the answers per second.

    requests: messages, asked in turn, and what is in the answer to each. Raises ValueError for any other answer.
    """
    for _ in range(CONNECTIONS - 1):
        # gRPC's servers now and then close the first connection after they were stopped for a while.
        with suppress(_ClosedError):
            return _closed_loop(address, requests, in_flight, seconds)
    return _closed_loop(address, requests, in_flight, seconds)


def _closed_loop(address: str, requests: Sequence[tuple[bytes, bytes]], in_flight: int, seconds: float) -> float:
    stream = cycle([_Request(message, answer) for message, answer in requests])
    numbers = count(1, 2)
    host, _, port = address.rpartition(":")
    waiting: dict[int, bytes] = {}
    answered = 0

    def next_request() -> bytes:
        request, number = next(stream), next(numbers)
        waiting[number] = request.answer
        return request.frames(number)

    with socket.create_connection((host, int(port)), ANSWER_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(hello() + b"".join(next_request() for _ in range(in_flight)))
        started = time.perf_counter()
        received = bytearray()
        while (now := time.perf_counter()) < started + seconds:
            piece = connection.recv(READ_BYTES)
            if not piece:
                error = ValueError if answered else _ClosedError
                raise error(f"the server closed the connection after {answered} answers")
            received += piece
            sending = []
            for kind, flags, stream_id, payload in take_frames(received):
                if kind == DATA and payload:
                    if waiting.pop(stream_id, b"\n") not in payload:
                        raise ValueError(f"a wrong answer: {payload!r}")
                elif kind == HEADERS and flags & END_STREAM:
                    if stream_id in waiting:
                        raise ValueError(f"a call without an answer: {payload!r}")
                    answered += 1
                    sending.append(next_request())
                elif kind == SETTINGS and not flags & ACK:
                    sending.append(SETTINGS_ACK)
                elif kind == PING and not flags & ACK:
                    sending.append(PingFrame(0, payload, flags=["ACK"]).serialize())
                elif kind in (GOAWAY, RESET):
                    raise ValueError(f"the server gave up: {payload!r}")
            if sending:
                connection.sendall(b"".join(sending))
    return answered / (now - started)
