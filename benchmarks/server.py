"""`npuserve serve` as a process of its own, and what the kernel says of it: memory, processor time, open files."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NPUSERVE = Path(sys.executable).parent / "npuserve"
START_SECONDS = 60
_STEP_SECONDS = 0.05


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, of all its threads, in and out of the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> int:
    """Return how many file descriptors a process holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def wait_for_open_files(pid: int, most: int, seconds: float = 30.0) -> int:
    """Return how many file descriptors a process holds, once there are no more than `most` or the time is over."""
    until = time.monotonic() + seconds
    while open_files(pid) > most and time.monotonic() < until:
        time.sleep(_STEP_SECONDS)
    return open_files(pid)


@dataclass
class ServerProcess:
    """A running server; `address` is where it listens."""

    process: "subprocess.Popen[bytes]"
    address: str
    log: Path

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid

    def stop(self, seconds: float = 60) -> int:
        """Ask it to drain and stop (SIGTERM); return its exit code."""
        self.process.terminate()
        return self.process.wait(seconds)


@contextmanager
def serving(repository: Path, log: Path, *flags: str, verb: Sequence[str] = ("serve",)) -> Iterator[ServerProcess]:
    """Serve a repository on a free port of 127.0.0.1. At the end the server is killed if it still runs.

    verb: the command, with the flags that are its alone.
    """
    command = [str(NPUSERVE), *verb, f"--model-repository={repository}", "--grpc-address=127.0.0.1", "--grpc-port=0"]
    command += ["--allow-http=false", "--allow-metrics=false"]
    with log.open("w") as output:
        process = subprocess.Popen([*command, *flags], stdout=output, stderr=subprocess.STDOUT)
    try:
        yield ServerProcess(process, _address(process, log), log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Return what the log says that the server listens on; it says so when every model is loaded."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        _, found, rest = log.read_text().partition("Started GRPCInferenceService at ")
        if found and "\n" in rest:
            return rest.splitlines()[0].strip()
        time.sleep(_STEP_SECONDS)
    raise RuntimeError(f"the server did not start, see {log}")
