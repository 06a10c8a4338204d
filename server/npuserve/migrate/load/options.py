"""What to load a server with: one closed or one open loop."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError

Protocol = Literal["grpc", "grpc_stream", "http"]
Distribution = Literal["poisson", "constant"]

# As many calls on a connection as perf_analyzer puts there, so that both measure the same.
_CALLS_A_CONNECTION = 6
_MAX_CONNECTIONS = 64
_OPEN_CONNECTIONS = {"grpc": 4, "grpc_stream": 4, "http": 64}
_OPEN_CALLS_A_CONNECTION = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """One load.

    url: `HOST:PORT` of the protocol. samples: the requests' tensors, with the batch axis, sent in turn.
    concurrency: requests always under way; or, with request_rate, requests a second that are due whatever the answers
    do. connections: of all processes; None: chosen. in_flight: an open loop's most; None: chosen.
    A measurement is windows of window_seconds: it ends when the last three agree within `stability` (a share) in
    throughput and mean latency, or after max_windows; it tells of the last three. kept_answers: the first answers to
    the first so many samples are kept. fields: more of the request's head, as (name, value).
    """

    url: str
    model: str
    samples: Sequence[Tensors]
    version: str = ""
    protocol: Protocol = "grpc"
    concurrency: int = 1
    request_rate: float | None = None
    distribution: Distribution = "poisson"
    processes: int = 1
    connections: int | None = None
    in_flight: int | None = None
    warmup_seconds: float = 1.0
    window_seconds: float = 1.0
    max_windows: int = 10
    stability: float = 0.1
    fields: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    kept_answers: int = 0

    def __post_init__(self) -> None:
        _check(bool(self.samples), "the data set is empty: at least one sample is needed")
        _check(self.concurrency >= 1, f"the concurrency must be at least 1, got {self.concurrency}")
        rate = self.request_rate
        _check(rate is None or 0 < rate < math.inf, f"the request rate must be positive, got {rate}")
        _check(self.processes >= 1, f"at least one process is needed, got {self.processes}")
        _check(self.max_windows >= 1, f"at least one window is needed, got {self.max_windows}")
        _check(0 < self.window_seconds < math.inf, f"a window must be longer than 0 s, got {self.window_seconds}")
        _check(0 <= self.warmup_seconds < math.inf, f"the warm-up must be 0 s or longer, got {self.warmup_seconds}")
        _check(self.stability > 0, f"the stability must be above 0, got {self.stability}")
        _check(self.connections is None or self.connections >= 1, "at least one connection is needed")
        _check(
            self.in_flight is None or rate is not None, "a closed loop has its concurrency in flight, no other limit"
        )
        _check(self.seed >= 0, f"the seed must be 0 or more, got {self.seed}")
        _check(
            self.total_in_flight >= self.processes,
            f"{self.processes} processes cannot share {self.total_in_flight} requests in flight",
        )
        _check(
            self.total_in_flight >= self.total_connections,
            f"{self.total_connections} connections cannot share {self.total_in_flight} requests in flight",
        )
        _check(
            self.total_connections >= self.processes,
            f"{self.processes} processes cannot share {self.total_connections} connections",
        )
        _check(
            self.protocol != "http" or self.total_connections == self.total_in_flight,
            f"HTTP/1.1 carries one request a connection: {self.total_in_flight} requests in flight need as many "
            f"connections, not {self.total_connections}",
        )

    @property
    def total_in_flight(self) -> int:
        """Requests under way at most."""
        if self.request_rate is None:
            return self.concurrency
        if self.in_flight is not None:
            return self.in_flight
        each = 1 if self.protocol == "http" else _OPEN_CALLS_A_CONNECTION
        return self.total_connections * each

    @property
    def total_connections(self) -> int:
        """Connections of all processes."""
        if self.connections is not None:
            return self.connections
        if self.request_rate is not None:
            if self.protocol == "http" and self.in_flight is not None:
                return self.in_flight
            return max(self.processes, _OPEN_CONNECTIONS[self.protocol])
        if self.protocol == "http":
            return self.concurrency
        return max(self.processes, min(_MAX_CONNECTIONS, math.ceil(self.concurrency / _CALLS_A_CONNECTION)))


def share(total: int, part: int, parts: int) -> int:
    """Return one process's share of a number that all have together."""
    return total // parts + (part < total % parts)


def _check(is_right: bool, sentence: str) -> None:
    if not is_right:
        raise MigrationError(sentence)
