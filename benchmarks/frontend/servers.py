"""Starts the peers, each in a process group of its own, and asks the kernel what they cost."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.frontend.peers import litserve, triton

ROOT = Path(__file__).resolve().parents[2]
NPUSERVE = Path(sys.executable).parent / "npuserve"
START_SECONDS = 120
STOP_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running peer. Its process leads a group, in which are all of its children."""

    name: str
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def pause(self) -> None:
        """Stop the whole group, so that what it does while idle costs the others nothing."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """Return what the group's live processes have used, in user mode and in the kernel, of all threads."""
        ticks = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                fields = status.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.process.pid:  # its process group
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def npuserve(name: str, repository: Path, frontend: str, *flags: str, port: int | None = None) -> "Launch":
    """Serve with one of our front ends."""
    chosen = port or free_port()
    command: list[str | Path] = [NPUSERVE, "serve", "--model-repository", repository, "--frontend", frontend]
    command += ["--grpc-address=127.0.0.1", f"--grpc-port={chosen}", *flags]
    command += ["--allow-http=false", "--allow-metrics=false"]
    return Launch(name, chosen, command, {**os.environ})


def triton_server(repository: Path) -> "Launch":
    """Serve with the real Triton: gRPC and nothing else."""
    parts = triton()
    port = free_port()
    command: list[str | Path] = [parts.program, f"--model-repository={repository}"]
    command += [f"--backend-directory={parts.backends}", "--grpc-address=127.0.0.1", f"--grpc-port={port}"]
    command += ["--allow-http=false", "--allow-metrics=false"]
    return Launch("triton", port, command, parts.environment)


def litserve_server() -> "Launch":
    """Serve with LitServe: the same payload, its way."""
    port = free_port()
    command: list[str | Path] = [litserve(), Path(__file__).with_name("litserve_echo.py"), str(port)]
    return Launch("litserve", port, command, {**os.environ}, answers_health)


@dataclass(frozen=True)
class Launch:
    """How to start a peer, and how to see that it is ready."""

    name: str
    port: int
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    ready: "Callable[[int], bool]" = lambda port: _listens(port)

    @contextmanager
    def running(self, log_folder: Path) -> Iterator[Server]:
        """Start it, wait until it is ready; at the end its whole group is gone."""
        log_folder.mkdir(parents=True, exist_ok=True)
        log = log_folder / f"{self.name}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [str(part) for part in self.command],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = Server(self.name, self.port, process)
        try:
            self._wait(process, log)
            yield server
        finally:
            _stop(server)

    def _wait(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        until = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < until:
            if self.ready(self.port):
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not start, see {log}")


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers_health(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _stop(server: Server) -> None:
    """Ask the group to end; kill what has not ended by itself."""
    with suppress(ProcessLookupError):
        server.resume()
        server.process.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
