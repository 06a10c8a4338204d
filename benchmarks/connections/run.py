"""What does a connection cost: in memory while it is held, in processor time while it is idle, in rate when all work?

10,000 connections, each of which makes one call, are held; the server's memory and processor time are the kernel's
figures, beside those of the same server with none. After the idle time every connection makes a second call, so none
was lost; then all are closed and as many opened again, several times, as clients come and go. Last, 1,000 clients with
one call in flight each. The peer is the grpcio front end, on the same handlers.
"""

import argparse
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.connections.active import ActiveLoad, closed_loop
from benchmarks.connections.crowd import Crowd
from benchmarks.connections.plot import draw
from benchmarks.grpc_bytes import INFER, call_headers, framed, message_frames
from benchmarks.report import Report
from benchmarks.server import ServerProcess, cpu_seconds, open_files, rss_bytes, serving, wait_for_open_files
from benchmarks.soak.models import Payloads, difference, request_bytes, write_repository

WORK = Path(__file__).resolve().parents[2] / "build" / "connections"
# The first part of a figure's name.
PREFIXES = {"native": "connections", "grpcio": "connections_grpc_aio"}
MODEL = "exact"
IDENTIFIER = "1"
WAVES = 5
SPARE_FILES = 1000
MOST_IDLE_PERCENT = 1.0


@dataclass(frozen=True)
class Sizes:
    """How many connections, and for how long."""

    idle_connections: int
    idle_seconds: float
    active_clients: int
    active_seconds: int


@dataclass(frozen=True)
class Costs:
    """What a front end was measured to cost. Memory in bytes, time in seconds, shares of one core."""

    bytes_per_connection: float
    last_wave_bytes_per_connection: float
    last_wave_ratio: float
    opened_per_second: float
    idle_share_without: float
    idle_share_with: float
    active: ActiveLoad

    def add_to(self, report: Report, prefix: str) -> None:
        """Enter the figures."""
        report.add(f"{prefix}_kib_per_connection", "KiB", [self.bytes_per_connection / 1024])
        report.add(f"{prefix}_last_wave_kib_per_connection", "KiB", [self.last_wave_bytes_per_connection / 1024])
        # All memory of the server, beside that of the wave before: 1, unless connections leave something behind.
        report.add(f"{prefix}_last_wave_ratio", "ratio", [self.last_wave_ratio])
        report.add(f"{prefix}_idle_cpu_percent", "% of a core", [100 * self.idle_share_with])
        report.add(f"{prefix}_none_cpu_percent", "% of a core", [100 * self.idle_share_without])
        report.add(f"{prefix}_opened_rate", "connections/s", [self.opened_per_second])
        report.add(f"{prefix}_active_rate", "requests/s", [self.active.requests_per_second])
        report.add(f"{prefix}_active_p50", "ms", [self.active.p50_ms])
        report.add(f"{prefix}_active_p99", "ms", [self.active.p99_ms])
        report.add(f"{prefix}_active_errors", "requests", [self.active.errors])


def main() -> int:
    """Measure both front ends, publish, and return 1 if the native one errs or is not idle when it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000, help="idle ones")
    parser.add_argument("--idle-seconds", type=float, default=20.0, help="time to measure an idle server for")
    parser.add_argument("--clients", type=int, default=1000, help="active ones")
    parser.add_argument("--active-seconds", type=int, default=10, help="time to measure them for")
    arguments = parser.parse_args()
    sizes = Sizes(arguments.connections, arguments.idle_seconds, arguments.clients, arguments.active_seconds)
    allow_open_files(max(sizes.idle_connections, sizes.active_clients) + SPARE_FILES)
    repository = WORK / "repository"
    shutil.rmtree(repository, ignore_errors=True)
    write_repository(repository)
    report, costs = Report("connections"), {}
    for front_end, prefix in PREFIXES.items():
        with serving(repository, WORK / f"{front_end}.log", f"--frontend={front_end}") as server:
            costs[front_end] = measure(server, sizes)
            server.stop()
        costs[front_end].add_to(report, prefix)
    draw(report, PREFIXES, report.publish().with_suffix(".png"))
    native = costs["native"]
    return 1 if native.active.errors or 100 * native.idle_share_with >= MOST_IDLE_PERCENT else 0


def allow_open_files(count: int) -> None:
    """Raise this process's limit of open files, and so that of the servers that it starts. Raises ValueError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(count, hard)))


def measure(server: ServerProcess, sizes: Sizes) -> Costs:
    """Measure one server, which must just have started."""
    payload = Payloads(seed=1).take(MODEL)
    message = request_bytes(MODEL, payload, IDENTIFIER)
    answers: list[bytes] = []

    def check(answer: bytes) -> str:
        answers[:] = [answer]
        return difference(answer, MODEL, payload, IDENTIFIER)

    first, second = (call_headers(number, INFER) + message_frames(number, message) for number in (1, 3))
    host, _, port = server.address.rpartition(":")
    crowd = Crowd((host, int(port)), check)
    files = open_files(server.pid)
    crowd.open(1, first)
    idle_without = idle_share(server, sizes.idle_seconds)
    before = rss_bytes(server.pid)
    start = time.perf_counter()
    crowd.open(sizes.idle_connections, first)
    opened_per_second = sizes.idle_connections / (time.perf_counter() - start)
    held = [rss_bytes(server.pid)]
    idle_with = idle_share(server, sizes.idle_seconds)
    crowd.call(second)
    for _ in range(WAVES - 1):
        crowd.close()
        wait_for_open_files(server.pid, files)
        crowd.open(sizes.idle_connections, first)
        held.append(rss_bytes(server.pid))
    crowd.close()
    body = WORK / "request"
    body.write_bytes(framed(message))
    url = f"http://{server.address}{INFER}"
    answer_bytes = len(framed(answers[0]))
    active = closed_loop(url, body, answer_bytes, sizes.active_clients, sizes.active_seconds, WORK / "latencies")
    each = [(memory - before) / sizes.idle_connections for memory in held]
    return Costs(each[0], each[-1], held[-1] / held[-2], opened_per_second, idle_without, idle_with, active)


def idle_share(server: ServerProcess, seconds: float) -> float:
    """Return the share of a core that a server uses while nobody calls it."""
    before = cpu_seconds(server.pid)
    time.sleep(seconds)
    return (cpu_seconds(server.pid) - before) / seconds


if __name__ == "__main__":
    sys.exit(main())
