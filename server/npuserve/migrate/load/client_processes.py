"""The parent's side of the client processes."""

import pickle
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any

from npuserve._load import now_ns
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.load.exchange import End, Slice, Task, send
from npuserve.migrate.load.interface import address_of
from npuserve.migrate.load.options import LoadOptions, share
from npuserve.migrate.load.requests import grpc_head

# From when all have connected: time enough for the word to reach them.
_START_NS = 20_000_000
_STOP_SECONDS = 10.0


class ClientProcesses:
    """Makes the load as long as it is open. Raises MigrationError from every method."""

    def __init__(self, options: LoadOptions, requests: Sequence[bytes]) -> None:
        self._log: IO[bytes] = TemporaryFile()  # noqa: SIM115  # closed with the processes
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for part in range(options.processes):
                self._processes.append(self._begin(_task(options, requests, part)))
            for process in self._processes:
                if reason := self._receive(process):
                    raise MigrationError(f"the server at {options.url} cannot be loaded: {reason}")
            start_ns = now_ns() + _START_NS
            for process in self._processes:
                self._send(process, start_ns)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "ClientProcesses":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def slices(self) -> list[Slice]:
        """Return what each has counted in the next stretch of time, once that is over."""
        return [self._receive(process) for process in self._processes]

    def stop(self) -> list[End]:
        """Send no more; wait a little for what is under way."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        return [self._end(process) for process in self._processes]

    def close(self) -> None:
        """End the processes that are left."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                # What it did not read is of no use to anybody.
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        self._log.close()

    def _begin(self, task: Task) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "npuserve.migrate.load.client_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        try:
            self._send(process, task)
        except MigrationError:
            self._processes.append(process)
            raise
        return process

    def _end(self, process: "subprocess.Popen[bytes]") -> End:
        # Slices that were under way come first.
        while not isinstance(last := self._receive(process), End):
            continue
        process.wait(_STOP_SECONDS)
        return last

    def _send(self, process: "subprocess.Popen[bytes]", value: Any) -> None:
        assert process.stdin is not None
        try:
            send(process.stdin, value)
        except BrokenPipeError as error:
            raise self._died() from error

    def _receive(self, process: "subprocess.Popen[bytes]") -> Any:
        assert process.stdout is not None
        try:
            return pickle.load(process.stdout)
        except EOFError as error:
            raise self._died() from error

    def _died(self) -> MigrationError:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return MigrationError(f"a client process ended early: {lines[-1] if lines else 'it was killed'}")


def _task(options: LoadOptions, requests: Sequence[bytes], part: int) -> Task:
    address, port = address_of(options.url)
    parts = options.processes
    return Task(
        {
            "address": address,
            "port": port,
            "protocol": options.protocol,
            "head": grpc_head(options),
            "requests": list(requests),
            "connections": share(options.total_connections, part, parts),
            "concurrency": share(options.total_in_flight, part, parts),
            "part": part,
            "parts": parts,
            "kept_answers": options.kept_answers,
            "per_second": options.request_rate,
            "poisson": options.distribution == "poisson",
            "seed": options.seed,
        }
    )
