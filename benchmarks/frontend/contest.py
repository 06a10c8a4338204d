"""The peers of one run, all started, all asleep but the one that is measured; and what each measurement does."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.frontend import analyzer, check, h2load, servers
from benchmarks.frontend.h2load import Target
from benchmarks.frontend.model import METHOD, MODEL, NUMBERS, framed, request_message, write_model
from benchmarks.frontend.servers import Server

NATIVE, TRITON, GRPCIO, LITSERVE = "native", "triton", "grpcio", "litserve"
PEERS = (NATIVE, TRITON, GRPCIO, LITSERVE)
WITHOUT_STATISTICS = "identity_without_statistics"


@dataclass(frozen=True)
class Load:
    """Connections, and requests in flight on each."""

    connections: int
    in_flight: int

    @property
    def name(self) -> str:
        """As in the names of figures."""
        return f"{self.connections}x{self.in_flight}"


LOADS = (Load(1, 1), Load(16, 1), Load(100, 1), Load(4, 25))
PACED_CONNECTIONS = 16


@dataclass(frozen=True)
class Peer:
    """A server and the right question for it."""

    name: str
    server: Server
    target: Target

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let it run; outside of this it is stopped."""
        self.server.resume()
        try:
            yield
        finally:
            self.server.pause()


@dataclass
class Samples:
    """What the rounds gave; one list a thing that was measured, one entry a round."""

    rate: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_us: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    p50_ms: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    p99_ms: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))


@contextmanager
def contest(work: Path) -> Iterator[dict[str, Peer]]:
    """Start every peer, see that its answers are right at every load, and put it to sleep."""
    ours, theirs = work / "npuserve_models", work / "triton_models"
    write_model(ours, MODEL)
    write_model(ours, MODEL, name=WITHOUT_STATISTICS, statistics=False)
    write_model(theirs, "echo")
    launches = {
        NATIVE: servers.npuserve(NATIVE, ours, "native"),
        TRITON: servers.triton_server(theirs),
        GRPCIO: servers.npuserve(GRPCIO, ours, "grpcio"),
        LITSERVE: servers.litserve_server(),
    }
    with ExitStack() as stack:
        peers = {}
        for name, launch in launches.items():
            server = stack.enter_context(launch.running(work))
            ask = http_target if name == LITSERVE else grpc_target
            peers[name] = Peer(name, server, ask(server, work))
            server.pause()
        yield peers


@contextmanager
def two_processes(work: Path) -> Iterator[Target]:
    """Two servers of ours that share one port, both awake: the kernel deals the connections out."""
    port = servers.free_port()
    with ExitStack() as stack:
        for number in (1, 2):
            launch = servers.npuserve(
                f"shared{number}", work / "npuserve_models", "native", "--reuse-grpc-port", port=port
            )
            server = stack.enter_context(launch.running(work))
        yield grpc_target(server, work)


def grpc_target(server: Server, work: Path, name: str = MODEL) -> Target:
    """Check a gRPC peer at every load and write its request."""
    lengths = {check.grpc_answer_bytes(server.address, load.connections, load.in_flight, name=name) for load in LOADS}
    (answer_bytes,) = lengths
    body = work / f"{name}.bin"
    row = np.random.default_rng(1).random(NUMBERS, np.float32)
    body.write_bytes(framed(request_message(row, name)))
    return Target(f"http://{server.address}{METHOD}", body, answer_bytes)


def http_target(server: Server, work: Path) -> Target:
    """Check LitServe at every load and write its request."""
    (answer_bytes,) = {check.http_answer_bytes(server.port, load.connections * load.in_flight) for load in LOADS}
    body = work / "request.json"
    body.write_bytes(check.text_request(1)[1])
    return Target(f"http://{server.address}{check.LITSERVE_PATH}", body, answer_bytes, http1=True)


def closed_loop(peer: Peer, load: Load, seconds: float, samples: Samples) -> None:
    """Measure requests per second, and the server's processor time for one."""
    with peer.awake():
        before = peer.server.cpu_seconds()
        answers = h2load.closed_loop(peer.target, load.connections, load.in_flight, seconds)
        used = peer.server.cpu_seconds() - before
    key = (peer.name, load.name)
    samples.rate[key].append(answers.per_second)
    samples.cpu_us[key].append(used / answers.count * 1e6)


def paced(peer: Peer, name: str, per_second: float, seconds: float, samples: Samples) -> None:
    """Measure the latency at a given rate."""
    with peer.awake():
        answers = h2load.paced(peer.target, PACED_CONNECTIONS, per_second, seconds)
    key = (peer.name, name)
    samples.rate[key].append(answers.per_second)
    samples.p50_ms[key].append(answers.p50_ms)
    samples.p99_ms[key].append(answers.p99_ms)


def analyzed(peer: Peer, name: str, seconds: float, samples: Samples, *, in_flight: int = 0, rate: float = 0.0) -> None:
    """Measure with perf_analyzer: a closed loop of `in_flight`, or an open one at `rate`."""
    with peer.awake():
        if in_flight:
            seen = analyzer.concurrency(peer.server.address, in_flight, seconds)
        else:
            seen = analyzer.rate(peer.server.address, rate, seconds)
    key = (peer.name, name)
    samples.rate[key].append(seen.per_second)
    samples.p50_ms[key].append(seen.p50_ms)
    samples.p99_ms[key].append(seen.p99_ms)


def rotated(peers: Sequence[Peer], turn: int) -> list[Peer]:
    """Return the peers in an order in which another one comes first each round."""
    start = turn % len(peers)
    return [*peers[start:], *peers[:start]]
