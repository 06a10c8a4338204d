"""The native client of `npuserve bench`: one thread, epoll, gRPC and HTTP/1.1, latencies counted natively.

And the end of native/core/mirror_ring.h at which `npuserve shadow` reads.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict, final, type_check_only

BUCKETS: int
PRECISION_BITS: int

@type_check_only
class HistogramFields(TypedDict):
    """first: the first bucket that counts anything. counts: from there to the last such, native uint64."""

    first: int
    counts: bytes
    min_ns: int
    max_ns: int
    sum_ns: int

@type_check_only
class TallyFields(TypedDict):
    """What was counted. failures: count and first message by code, which is gRPC's (below 100) or HTTP's.

    -1: the connection failed; -2: the answer could not be read. behind_ns: how late an open loop is.
    """

    latency: HistogramFields
    service: HistogramFields
    failures: Mapping[int, tuple[int, bytes]]
    sent: int
    sent_bytes: int
    received_bytes: int
    behind_ns: int

def bucket_of(value_ns: int) -> int: ...
def now_ns() -> int:
    """Return the steady time that all of this is told in; the same in all processes of the machine."""

@final
class Client:
    """The load of one process. Not thread-safe; `connect`, `run` and `drain` block without the GIL."""

    def __init__(
        self,
        *,
        address: str,
        port: int,
        protocol: str,
        head: Sequence[tuple[str, str]],
        requests: Sequence[bytes],
        connections: int,
        concurrency: int,
        part: int,
        parts: int,
        kept_answers: int,
        per_second: float | None,
        poisson: bool,
        seed: int,
    ) -> None: ...
    def connect(self, until_ns: int) -> str:
        """Return nothing, or why not all connections could be made."""
    def start(self, start_ns: int) -> None: ...
    def run(self, until_ns: int) -> None: ...
    def drain(self, until_ns: int) -> None: ...
    def take(self) -> TallyFields: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def answers(self) -> dict[int, bytes]: ...

MirroredRequest = tuple[bytes, bytes, int, int, bool]
"""The request's message, its answer's (or, if the status is not OK, the status's text), the live latency in ns, the
status code, and whether the answer is compressed (gzip or deflate)."""

@final
class MirrorReader:
    """Reads mirrored requests from the ring that a file is; it need not stay open. One thread at a time.

    Raises OSError if the file cannot be mapped, ValueError if it is too small.
    """

    def __init__(self, file: int) -> None: ...
    def take(self, most: int) -> list[MirroredRequest]:
        """Take up to so many, oldest first."""
    def counts(self) -> dict[str, int]:
        """Return what the writer has counted, by the names of native/core/mirror_ring.h."""
    @property
    def waiting_bytes(self) -> int: ...
