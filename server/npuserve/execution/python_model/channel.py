"""What server and worker say to each other: messages over a Unix stream socket, tensors in shared memory beside them.

A message is a kind and a value of plain Python types, and the bytes of its tensors one after another. Few bytes travel
in the message itself. More go through a block: anonymous shared memory whose descriptor is sent with the first message
that uses it. The receiver works in the block; when nothing refers to it there any more, its next message says so, and
the sender may use the block again. Nothing has a name, so nothing is left behind when a process dies.
"""

import array
import io
import mmap
import os
import pickle
import socket
import struct
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Buffer = bytes | bytearray | memoryview

INLINE_BYTES = 65536
"""Up to here copying through the socket is as fast as a block."""
SMALLEST_BLOCK_BYTES = 1 << 20
IDLE_BLOCKS = 4
"""Blocks that a sender keeps for later messages; beyond that the oldest is given back."""
MOST_DESCRIPTORS = 64
RECEIVED_BYTES = 1 << 17
"""Room for what one receiving call takes: an inline message with its tensors, and more."""

_ALIGNMENT = 64
_ANCILLARY_BYTES = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)
_HEADER = struct.Struct("<II")  # bytes of the pickled part, bytes of the inline part


class ChannelError(Exception):
    """The other side sent something that is not a message."""


@dataclass(slots=True, eq=False)
class Message:
    """A received message. payload: the bytes of its tensors, writable; whoever keeps a view of it keeps its block."""

    kind: str
    value: object
    payload: NDArray[np.uint8]


@dataclass(slots=True)
class _Block:
    number: int
    memory: mmap.mmap
    size_bytes: int


class _Plain(pickle.Unpickler):
    """Unpickles plain values only: what a model's process sends cannot run code in the server."""

    def find_class(self, module: str, name: str, /) -> object:
        raise ChannelError(f"a message names {module}.{name}")


class Channel:
    """One side's view of the messages: makes them, and takes them apart. Does no I/O."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next_block = 1
        self._idle: deque[_Block] = deque()
        self._lent: dict[int, _Block] = {}
        self._dropped: list[int] = []
        self._theirs: dict[int, _Block] = {}
        # Filled by finalizers, which may run at any point of any thread: appending needs no lock.
        self._freed: deque[int] = deque()
        self._received = bytearray()
        self._descriptors: deque[int] = deque()

    def close(self) -> None:
        """Give back descriptors that no message claimed. Memory goes with the last that refers to it."""
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def encode(self, kind: str, value: object, tensors: Sequence[Buffer] = ()) -> tuple[bytes, list[int]]:
        """Return a message's bytes and the descriptors to send with their first one; the caller closes those.

        tensors: placed at the offsets that `offsets` says.
        """
        starts, total = offsets([len(each) for each in tensors])
        with self._lock:
            freed = [self._freed.popleft() for _ in range(len(self._freed))]
            dropped, self._dropped = self._dropped, []
            if total <= INLINE_BYTES:
                body = pickle.dumps((kind, value, None, freed, dropped), protocol=4)
                return b"".join((_HEADER.pack(len(body), total), body, *_in_line(starts, tensors))), []
            block, descriptors = self._block(total)
        _place(memoryview(block.memory), starts, tensors)
        place = (block.number, block.size_bytes, total, bool(descriptors))
        body = pickle.dumps((kind, value, place, freed, dropped), protocol=4)
        return _HEADER.pack(len(body), 0) + body, descriptors

    def feed(self, received: Buffer, descriptors: Sequence[int] = ()) -> list[Message]:
        """Take what was received; return the messages that are complete. Raises ChannelError.

        received: is copied; may be overwritten afterwards.
        """
        self._descriptors.extend(descriptors)
        if self._received:
            self._received += received
            received, self._received = self._received, bytearray()
        messages: list[Message] = []
        start = 0
        while len(received) - start >= _HEADER.size:
            body_bytes, inline_bytes = _HEADER.unpack_from(received, start)
            middle = start + _HEADER.size + body_bytes
            end = middle + inline_bytes
            if len(received) < end:
                break
            body = bytes(received[start + _HEADER.size : middle])
            messages.append(self._decoded(body, bytearray(received[middle:end])))
            start = end
        if start < len(received):
            self._received += received[start:]
        return messages

    def _decoded(self, body: bytes, inline: bytearray) -> Message:
        try:
            kind, value, place, freed, dropped = _Plain(io.BytesIO(body)).load()
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
            raise ChannelError(f"a message cannot be read: {error}") from error
        payload = np.frombuffer(inline, np.uint8) if place is None else self._lent_payload(*place)
        with self._lock:
            for number in dropped:
                self._theirs.pop(number, None)
            for number in freed:
                self._idle.append(self._lent.pop(number))
            while len(self._idle) > IDLE_BLOCKS:
                self._dropped.append(self._idle.popleft().number)
        return Message(kind, value, payload)

    def _lent_payload(self, number: int, size_bytes: int, total: int, is_new: bool) -> NDArray[np.uint8]:
        if is_new:
            descriptor = self._descriptors.popleft()
            try:
                self._theirs[number] = _Block(number, mmap.mmap(descriptor, size_bytes), size_bytes)
            finally:
                os.close(descriptor)
        # Views keep this array alive, and with it the block.
        payload = np.frombuffer(self._theirs[number].memory, np.uint8, total)
        weakref.finalize(payload, self._freed.append, number)
        return payload

    def _block(self, size_bytes: int) -> tuple[_Block, list[int]]:
        """Return a block that nobody uses, the smallest that is large enough, and its descriptor if it is new."""
        fitting = [block for block in self._idle if block.size_bytes >= size_bytes]
        if fitting:
            block = min(fitting, key=lambda each: each.size_bytes)
            self._idle.remove(block)
            descriptors: list[int] = []
        else:
            capacity = max(SMALLEST_BLOCK_BYTES, 1 << (size_bytes - 1).bit_length())
            descriptor = os.memfd_create("npuserve_tensors", os.MFD_CLOEXEC)
            os.ftruncate(descriptor, capacity)
            block = _Block(self._next_block, mmap.mmap(descriptor, capacity), capacity)
            self._next_block += 1
            descriptors = [descriptor]
        self._lent[block.number] = block
        return block, descriptors


def offsets(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Return where tensors of these sizes start in a payload, and how long it is."""
    starts: list[int] = []
    end = 0
    for size in sizes:
        start = -(-end // _ALIGNMENT) * _ALIGNMENT
        starts.append(start)
        end = start + size
    return starts, end


def transmit(connection: socket.socket, content: Buffer, descriptors: Sequence[int]) -> int:
    """Send as much as goes at once, the descriptors with it; return how many bytes went. Raises OSError."""
    return socket.send_fds(connection, [content], descriptors) if descriptors else connection.send(content)


def receive(connection: socket.socket, channel: Channel, buffer: bytearray, flags: int = 0) -> list[Message] | None:
    """Receive once and return the messages that became complete; None if the other side is gone.

    buffer: where to; it holds nothing afterwards, and saves making one each time.
    Raises BlockingIOError if nothing is there and the socket or the flags (MSG_DONTWAIT) do not block, ChannelError.
    """
    try:
        # Not socket.recv_fds, which takes flags and does not use them.
        size, ancillary, _, _ = connection.recvmsg_into([buffer], _ANCILLARY_BYTES, flags)
    except ConnectionError:
        return None
    if not size:
        return None
    received = memoryview(buffer)[:size]
    if not ancillary:
        return channel.feed(received)
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content)
    return channel.feed(received, descriptors)


def _in_line(starts: Sequence[int], tensors: Sequence[Buffer]) -> Iterator[Buffer]:
    """Yield what goes behind a message: the tensors, and what fills up to where each starts."""
    end = 0
    for start, tensor in zip(starts, tensors, strict=True):
        if start > end:
            yield bytes(start - end)
        yield tensor
        end = start + len(tensor)


def _place(payload: memoryview, starts: Sequence[int], tensors: Sequence[Buffer]) -> None:
    for start, tensor in zip(starts, tensors, strict=True):
        payload[start : start + len(tensor)] = tensor
