"""Runs `npuserve serve` as a user does: a process on a free port, whose log is read."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60


_URLS = {"GRPCInferenceService": "url", "HTTPService": "http_url", "Metrics Service": "metrics_url"}
# In the order in which the log names them.
_SWITCHES = {
    "GRPCInferenceService": "--allow-grpc",
    "HTTPService": "--allow-http",
    "Metrics Service": "--allow-metrics",
}


class Server:
    """A running server. `lines` is its log so far; `url`, `http_url` and `metrics_url` are where it listens."""

    def __init__(self, process: subprocess.Popen[str], last_service: str = "GRPCInferenceService") -> None:
        self.process = process
        self._last_service = last_service
        self.lines: list[str] = []
        self._started = threading.Event()
        self.url = self.http_url = self.metrics_url = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_until_started(self) -> None:
        self._started.wait(START_SECONDS)
        assert self.url or self.http_url, "the server did not start:\n" + "".join(self.lines)

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.url)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """Return the exit code, once the whole log has been read."""
        code = self.process.wait(seconds)
        self._reader.join()
        return code

    def wait_for_line(self, text: str, seconds: float = 20) -> None:
        """Return when the log says so."""
        until = time.monotonic() + seconds
        while not any(text in line for line in self.lines):
            assert time.monotonic() < until, f"{text!r} is not in the log:\n" + "".join(self.lines)
            time.sleep(0.01)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if match := re.search(r"Started (GRPCInferenceService|HTTPService|Metrics Service) at \S+:(\d+)", line):
                setattr(self, _URLS[match[1]], f"127.0.0.1:{match[2]}")
                if match[1] == self._last_service:
                    self._started.set()
        self._started.set()


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "npuserve.cli.main", *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a server: the emulator, whatever this machine has, and this checkout's package."""
    base = {key: value for key, value in os.environ.items() if key not in ("ASCEND_HOME_PATH", "NPUSERVE_ACL_LIBRARY")}
    return {**base, "PYTHONPATH": str(ROOT / "server"), **changes}


@contextmanager
def launched(
    repository: Path, *flags: str, verb: Sequence[str | Path] = ("serve",), **changes: str
) -> Iterator[Server]:
    """Start a server without waiting for it; it is killed at the end if it still runs.

    verb: the command, with the flags that are its alone.
    """
    where = [f"--{part}-{what}" for part in ("grpc", "http", "metrics") for what in ("port=0", "address=127.0.0.1")]
    arguments = command(*verb, "--model-repository", repository, *where, *flags)
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment(**changes))
    served = [service for service, switch in _SWITCHES.items() if f"{switch}=false" not in flags]
    server = Server(process, served[-1])
    try:
        yield server
    finally:
        server.close()


@contextmanager
def serving(repository: Path, *flags: str, verb: Sequence[str | Path] = ("serve",), **changes: str) -> Iterator[Server]:
    """Start a server and wait until it serves."""
    with launched(repository, *flags, verb=verb, **changes) as server:
        server.wait_until_started()
        yield server
