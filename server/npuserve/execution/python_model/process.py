"""A worker process and the server's end of its socket."""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from npuserve.execution.python_model.channel import (
    RECEIVED_BYTES,
    Buffer,
    Channel,
    ChannelError,
    Message,
    receive,
    transmit,
)

_log = logging.getLogger(__name__)

FINALIZE_SECONDS = 30.0
"""How long a model may take to finalize before its process is killed."""
_PACKAGES = str(Path(__file__).resolve().parents[3])
# Another interpreter's packages must not be mixed with those that lie beside npuserve.
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import npuserve.execution.python_model.worker as worker; "
    "del sys.path[0]; worker.main()"
)


class WorkerProcess:
    """A worker: sends it messages, hands on what it says, tells when it is gone. Used on the event loop only.

    on_message: gets every message. on_end: called once when the process is gone or says what is no message.
    """

    def __init__(self, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._channel = Channel()
        self._connection: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._is_blocked = False
        self._receiving = bytearray(RECEIVED_BYTES)
        self._unsent: list[tuple[memoryview, list[int]]] = []

    @property
    def pid(self) -> int:
        """The process's id; 0 if it was not started."""
        return self._process.pid if self._process is not None else 0

    @property
    def is_alive(self) -> bool:
        """Whether messages reach it."""
        return self._connection is not None

    async def start(self, interpreter: str, path: Path, version: str) -> None:
        """Start the process. Raises OSError if the interpreter cannot be run."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            arguments = [
                interpreter or sys.executable,
                "-c",
                _START,
                _PACKAGES,
                str(theirs.fileno()),
                str(path),
                version,
            ]
            try:
                # A session of its own: what a terminal sends to the server's group does not reach it.
                self._process = await asyncio.create_subprocess_exec(
                    *arguments, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self._connection = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._readable)

    def send(self, kind: str, value: object, tensors: Sequence[Buffer] = ()) -> None:
        """Send a message. Without effect if the process is gone, which `on_end` tells. Raises OSError: no memory."""
        if self._connection is not None:
            self.send_encoded(*self._channel.encode(kind, value, tensors))

    def encode(self, kind: str, value: object, tensors: Sequence[Buffer] = ()) -> tuple[bytes, list[int]]:
        """Return a message for `send_encoded`, which must follow. Any thread may call it. Raises OSError."""
        return self._channel.encode(kind, value, tensors)

    def send_encoded(self, content: bytes, descriptors: list[int]) -> None:
        """Send a message. Without effect if the process is gone."""
        if self._connection is None:
            _close_all(descriptors)
            return
        self._unsent.append((memoryview(content), descriptors))
        if len(self._unsent) == 1:
            self._writable()

    async def stop(self) -> None:
        """Kill the process if it is still there, and wait for its end. Idempotent."""
        self._disconnect()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def wait(self, seconds: float) -> None:
        """Wait for the process to end by itself, and kill it if it does not in this time."""
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)
        await self.stop()

    def _readable(self) -> None:
        assert self._connection is not None, "a closed connection is not watched"
        try:
            messages = receive(self._connection, self._channel, self._receiving)
        except BlockingIOError:
            return
        except ChannelError as error:
            _log.error("worker %d: %s", self.pid, error)
            messages = None
        if messages is None:
            self._end()
            return
        for message in messages:
            self._on_message(message)

    def _writable(self) -> None:
        while self._unsent and self._connection is not None:
            content, descriptors = self._unsent[0]
            try:
                sent = transmit(self._connection, content, descriptors)
            except BlockingIOError:
                self._is_blocked = True
                asyncio.get_running_loop().add_writer(self._connection.fileno(), self._writable)
                return
            except OSError:
                # What it said last is still to be read; the reader notices the end.
                self._drop_unsent()
                return
            _close_all(descriptors)
            self._unsent[0] = (content[sent:], [])
            if sent == len(content):
                del self._unsent[0]
        if self._is_blocked and self._connection is not None:
            self._is_blocked = False
            asyncio.get_running_loop().remove_writer(self._connection.fileno())

    def _end(self) -> None:
        if self._connection is not None:
            self._disconnect()
            self._on_end()

    def _disconnect(self) -> None:
        if self._connection is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._connection.fileno())
            loop.remove_writer(self._connection.fileno())
            self._connection.close()
            self._connection = None
            self._drop_unsent()
            self._channel.close()

    def _drop_unsent(self) -> None:
        for _, descriptors in self._unsent:
            _close_all(descriptors)
        self._unsent.clear()


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
