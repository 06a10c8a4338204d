"""An `H2Client` on a blocking socket: exchanges with a running server, frame by frame."""

import socket
from collections.abc import Callable
from types import TracebackType

from support.h2_client import Answer, H2Client

TIMEOUT_SECONDS = 20.0


class H2Socket:
    """A connection to `host:port`. `closed` says whether the server has ended it."""

    def __init__(self, url: str, client: H2Client | None = None) -> None:
        host, _, port = url.rpartition(":")
        self.client = client or H2Client()
        self.closed = False
        self._socket = socket.create_connection((host, int(port)), TIMEOUT_SECONDS)

    def __enter__(self) -> "H2Socket":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def flush(self) -> None:
        """Send what the client has to say."""
        if output := self.client.output():
            self._socket.sendall(output)

    def run_until(self, reached: Callable[[], bool]) -> None:
        """Exchange bytes until the state is reached or the server closes."""
        self.flush()
        while not reached() and not self.closed:
            self._read()
            if not self.closed:
                self.flush()

    def answer(self, stream_id: int) -> Answer:
        """Return the call's answer once it is over, or the connection is."""
        answer = self.client.answers[stream_id]
        self.run_until(lambda: answer.over)
        return answer

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if data:
            self.client.receive(data)
        else:
            self.closed = True
