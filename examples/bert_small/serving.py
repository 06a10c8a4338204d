"""Runs `npuserve serve` as a process of its own and stops it as an operator would."""

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import tritonclient.grpc as triton
from commands import npuserve
from progress import Progress
from tritonclient.utils import InferenceServerException

START_SECONDS = 180.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1


class ServerError(RuntimeError):
    """The server did not start, or did not stop as it should; the message ends with its own last words."""


class Server:
    """A running server of some repositories on a free port of this machine; its output goes to `log`."""

    def __init__(self, repositories: Sequence[Path], log: Path) -> None:
        self._log = log
        self.url = f"127.0.0.1:{free_port()}"
        port = self.url.rpartition(":")[2]
        command = [*npuserve(), "serve", "--grpc-address", "127.0.0.1"]
        command += ["--grpc-port", port, "--allow-http=false", "--allow-metrics=false"]
        for repository in repositories:
            command += ["--model-repository", str(repository)]
        with log.open("w") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def wait_ready(self, models: int) -> None:
        """Wait until the server says that it is ready. Raises ServerError."""
        deadline = time.monotonic() + START_SECONDS
        client = triton.InferenceServerClient(self.url)
        try:
            with Progress(f"server: loading {models} models", 1) as bar:
                while not (self._listens() and _is_ready(client)):
                    if self._process.poll() is not None:
                        raise ServerError(f"the server ended with code {self._process.returncode}:\n{self._tail()}")
                    if time.monotonic() > deadline:
                        raise ServerError(f"the server is not ready after {START_SECONDS:.0f} s:\n{self._tail()}")
                    time.sleep(POLL_SECONDS)
                    bar.advance(0)
                bar.advance(note=f"ready on {self.url}")
        finally:
            client.close()

    def stop(self) -> None:
        """Ask the server to end (SIGTERM) and wait for it. Raises ServerError unless it ends with code 0."""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise ServerError(f"the server runs {STOP_SECONDS:.0f} s after SIGTERM:\n{self._tail()}") from None
        if code != 0:
            raise ServerError(f"the server ended with code {code} after SIGTERM:\n{self._tail()}")

    def _listens(self) -> bool:
        """Return whether the port takes connections; a gRPC channel that finds it closed waits long to try again."""
        host, _, port = self.url.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=1.0).close()
        except OSError:
            return False
        return True

    def _tail(self, lines: int = 15) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def free_port() -> int:
    """Return a TCP port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_ready(client: triton.InferenceServerClient) -> bool:
    try:
        return bool(client.is_server_ready(client_timeout=1.0))
    except InferenceServerException:
        return False
