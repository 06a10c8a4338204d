"""Thousands of connections held by one thread: HTTP/2 bytes made beforehand, sockets watched by epoll."""

import select
import socket
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from benchmarks.grpc_bytes import DATA, END_STREAM, GOAWAY, PREFIX_BYTES, SETTINGS_ACK, hello, take_frames

# One address has 28,000 ports for clients by default; several also show that nothing depends on the address.
SOURCES = tuple(f"127.0.0.{host}" for host in range(1, 6))
# Begun at the same time: below what a listening socket keeps waiting.
AT_ONCE = 64
PATIENCE_SECONDS = 60
_READ_BYTES = 64 * 1024


class ConnectionLostError(Exception):
    """A connection ended, or its call was not answered."""


class Member:
    """One connection. It makes one call at a time."""

    def __init__(self, source: str, address: tuple[str, int]) -> None:
        self.socket = socket.socket()
        self.socket.bind((source, 0))
        self.socket.setblocking(False)
        self.socket.connect_ex(address)
        self.body = b""
        self._received = bytearray()
        self._to_send = hello()
        self._acknowledged = False

    def call(self, request: bytes) -> None:
        """Let a call follow what is still to be sent."""
        self.body = b""
        self._to_send += request

    def send(self) -> None:
        """Send what waits; it is little enough for a socket's buffer."""
        if self.socket.send(self._to_send) != len(self._to_send):
            raise ConnectionLostError("a request did not fit into a socket's buffer")
        self._to_send = b""

    def receive(self) -> bool:
        """Read, and say whether the call is answered: `body` is then its message. Raises ConnectionLostError."""
        received = self.socket.recv(_READ_BYTES)
        if not received:
            raise ConnectionLostError("the server closed a connection")
        self._received += received
        ended = False
        for kind, flags, _, payload in take_frames(self._received):
            if kind == GOAWAY:
                raise ConnectionLostError(f"the server takes its leave: {payload!r}")
            if kind == DATA:
                self.body += payload
            ended = ended or (kind <= 1 and bool(flags & END_STREAM))
        if ended and not self._acknowledged:
            self._acknowledged = True
            self.socket.send(SETTINGS_ACK)
        return ended


class Crowd:
    """Connections to one server. `check` says what is wrong with an answered message, nothing if it is right."""

    def __init__(self, address: tuple[str, int], check: Callable[[bytes], str]) -> None:
        self._address = address
        self._check = check
        self._members: list[Member] = []

    def open(self, count: int, request: bytes) -> None:
        """Open connections, each of which makes one call. Raises ConnectionLostError if one is not answered rightly."""

        def opened() -> Iterator[Member]:
            for number in range(count):
                member = Member(SOURCES[number % len(SOURCES)], self._address)
                self._members.append(member)
                yield member

        self._call(opened(), request)

    def call(self, request: bytes) -> None:
        """Let every connection make a call. Raises ConnectionLostError if one is not answered rightly."""
        self._call(self._members, request)

    def close(self) -> None:
        """Close every connection."""
        for member in self._members:
            member.socket.close()
        self._members.clear()

    def _call(self, members: Iterable[Member], request: bytes) -> None:
        waiting = iter(members)
        under_way: dict[int, Member] = {}
        with select.epoll() as epoll:
            while True:
                for member in islice(waiting, AT_ONCE - len(under_way)):
                    member.call(request)
                    under_way[member.socket.fileno()] = member
                    epoll.register(member.socket, select.EPOLLOUT)
                if not under_way:
                    return
                events = epoll.poll(PATIENCE_SECONDS)
                if not events:
                    raise ConnectionLostError(f"{len(under_way)} calls are not answered in {PATIENCE_SECONDS} s")
                for number, event in events:
                    self._serve(epoll, under_way, number, event)

    def _serve(self, epoll: select.epoll, under_way: dict[int, Member], number: int, event: int) -> None:
        member = under_way[number]
        if event & select.EPOLLOUT:
            member.send()
            epoll.modify(number, select.EPOLLIN)
        elif member.receive():
            if mistake := self._check(member.body[PREFIX_BYTES:]):
                raise ConnectionLostError(mistake)
            epoll.unregister(number)
            del under_way[number]
