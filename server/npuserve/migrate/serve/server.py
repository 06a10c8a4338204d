"""Runs `npuserve serve` as a process of its own, on free ports of this machine, and stops it as an operator would."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.golden_failure import golden_failure

_START_SECONDS = 300.0
_STOP_SECONDS = 40.0
_POLL_SECONDS = 0.05
_TAIL_LINES = 8
_ERROR = re.compile(r"[EF]\d{4} ")
_STARTED = re.compile(r"Started (GRPCInferenceService|Metrics Service) at \S+:(\d+)")


def serve_command(repository: Path) -> str:
    """Return a shell line that serves a repository on the usual ports."""
    return shlex.join(["npuserve", "serve", "--model-repository", str(repository)])


class Server:
    """A server of one repository; its output goes to `log`. Ready once the `with` block is entered."""

    def __init__(self, repository: Path, log: Path, flags: Sequence[str] = ()) -> None:
        self._repository = repository
        self._log = log
        self._flags = tuple(flags)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.metrics_url = ""

    @property
    def pid(self) -> int:
        """Of the process. REQUIRES: it runs."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "npuserve.cli.main", "serve", "--model-repository", str(self._repository)]
        command += ["--grpc-address", "127.0.0.1", "--grpc-port", "0", "--allow-http=false"]
        command += ["--metrics-address", "127.0.0.1", "--metrics-port", "0", *self._flags]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=_environment()
            )
        try:
            self._wait_ready()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._stop()
        finally:
            self._kill()

    def peak_memory_mb(self) -> float | None:
        """Return the most memory that the process has had; None where the system does not tell."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return None
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else None

    def _wait_ready(self) -> None:
        """Wait until both ports are known: the server opens them once all models are loaded. Raises MigrationError."""
        assert self._process is not None
        until = time.monotonic() + _START_SECONDS
        while True:
            # The code first: what a server wrote before it ended is then in the log.
            code = self._process.poll()
            ports = dict(_STARTED.findall(self._log.read_text(errors="replace")))
            if len(ports) == 2:
                self.url = f"127.0.0.1:{ports['GRPCInferenceService']}"
                self.metrics_url = f"http://127.0.0.1:{ports['Metrics Service']}/metrics"
                return
            if code is not None:
                raise self._not_started(code)
            if time.monotonic() > until:
                raise MigrationError(f"the server is not ready after {_START_SECONDS:.0f} s:\n{self._tail()}")
            time.sleep(_POLL_SECONDS)

    def _not_started(self, code: int) -> MigrationError:
        return golden_failure(self._log.read_text(errors="replace")) or MigrationError(
            f"the server does not start, it ended with code {code}:\n{self._tail()}", f"read {self._log.name}"
        )

    def _stop(self) -> None:
        """Ask the server to end and wait for it. Raises MigrationError unless it ends well."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise MigrationError(
                f"the server still runs {_STOP_SECONDS:.0f} s after SIGTERM:\n{self._tail()}"
            ) from None
        if code != 0:
            raise MigrationError(f"the server ended with code {code} after SIGTERM:\n{self._tail()}")

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _tail(self) -> str:
        """Return what the log says last, its errors if there are any: tables and notices say little."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(([line for line in lines if _ERROR.match(line)] or lines)[-_TAIL_LINES:])


def _environment() -> dict[str, str]:
    """Return this process's, with the package that runs here before any other that is installed."""
    package = str(Path(__file__).resolve().parents[3])
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{others}" if others else package}
