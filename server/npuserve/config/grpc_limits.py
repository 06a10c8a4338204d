"""What the gRPC front ends bound: the flags with their ranges, and the values."""

from collections.abc import Mapping
from dataclasses import dataclass

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Bound:
    """One flag: the range of its value, both ends included, the value's unit, and what it is for."""

    flag: str
    low: int
    high: int
    unit: str
    text: str


def _milliseconds(flag: str, text: str, low: int = 0) -> Bound:
    return Bound(flag, low, _INT32_MAX, "ms", text)


BOUNDS: Mapping[str, Bound] = {
    "keepalive_time_ms": _milliseconds("--grpc-keepalive-time", "silence after which a client is pinged; 0: never"),
    "keepalive_timeout_ms": _milliseconds("--grpc-keepalive-timeout", "time for the answer to a ping", low=1),
    "max_pings_without_data": Bound(
        "--grpc-http2-max-pings-without-data", 0, _INT32_MAX, "", "pings in a row while nothing is sent; 0: no limit"
    ),
    "min_recv_ping_interval_ms": _milliseconds(
        "--grpc-http2-min-recv-ping-interval-without-data", "a client that pings more often earns a strike"
    ),
    "max_ping_strikes": Bound(
        "--grpc-http2-max-ping-strikes", 0, _INT32_MAX, "", "strikes before a client is sent away; 0: no limit"
    ),
    "max_connection_idle_ms": _milliseconds(
        "--grpc-max-connection-idle", "time without a call after which a connection is closed; 0: never"
    ),
    "max_connection_age_ms": _milliseconds(
        "--grpc-max-connection-age", "age at which a connection takes no more calls; 0: never"
    ),
    "max_connection_age_grace_ms": _milliseconds(
        "--grpc-max-connection-age-grace", "time that its open calls then have; 0: no limit"
    ),
    "max_message_bytes": Bound(
        "--grpc-max-message-bytes", 1, _INT32_MAX, "bytes", "one request message, after decompression"
    ),
    "memory_budget_bytes": Bound(
        "--grpc-memory-budget-bytes", 2**16, 2**48, "bytes", "all messages that are received or executed at a time"
    ),
    "max_header_list_bytes": Bound(
        "--grpc-max-header-list-bytes", 2**10, 2**24, "bytes", "headers of a call, by HTTP/2's count"
    ),
    "max_concurrent_streams": Bound(
        "--grpc-max-concurrent-streams", 1, _INT32_MAX, "", "calls of one connection at a time"
    ),
    "max_connections": Bound("--grpc-max-connections", 1, _INT32_MAX, "", "connections at a time"),
    "max_resets_per_second": Bound(
        "--grpc-max-resets-per-second", 1, _INT32_MAX, "", "calls that one connection may reset in a second"
    ),
    "slow_reader_timeout_ms": _milliseconds(
        "--grpc-slow-reader-timeout", "time in which a client must take some of what waits for it; 0: no limit"
    ),
    "slow_writer_timeout_ms": _milliseconds(
        "--grpc-slow-writer-timeout", "time in which a begun message must grow by 64 KiB, or end; 0: no limit"
    ),
    "handshake_timeout_ms": _milliseconds(
        "--grpc-handshake-timeout", "time from the connection to the client's first frames", low=1
    ),
}
"""The numbers among the fields of GrpcLimits, each with its flag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcLimits:
    """The bounds that are in force. Triton's names, units and defaults where Triton has them, else gRPC's.

    Raises ValueError, naming the flag and its range.
    """

    keepalive_time_ms: int = 7_200_000
    keepalive_timeout_ms: int = 20_000
    keepalive_permit_without_calls: bool = False
    max_pings_without_data: int = 2
    min_recv_ping_interval_ms: int = 300_000
    max_ping_strikes: int = 2
    max_connection_idle_ms: int = 0
    max_connection_age_ms: int = 0
    max_connection_age_grace_ms: int = 0
    max_message_bytes: int = _INT32_MAX
    memory_budget_bytes: int = 2**31
    max_header_list_bytes: int = 2**14
    max_concurrent_streams: int = 1024
    max_connections: int = 2**16
    max_resets_per_second: int = 1000
    slow_reader_timeout_ms: int = 60_000
    slow_writer_timeout_ms: int = 60_000
    handshake_timeout_ms: int = 20_000

    def __post_init__(self) -> None:
        for name, bound in BOUNDS.items():
            value = getattr(self, name)
            if not bound.low <= value <= bound.high:
                unit = f" {bound.unit}" if bound.unit else ""
                raise ValueError(f"{bound.flag} must be in range [{bound.low}, {bound.high}]{unit}, got {value}")
