"""What the gRPC front end is told at start: where it listens, how it is secured, what it bounds."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from npuserve.config.grpc_limits import GrpcLimits
from npuserve.config.require import require
from npuserve.config.restricted import Restrictions

FRONT_ENDS = ("native", "grpcio")
COMPRESSION_LEVELS = ("none", "low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """PEM files; without a root certificate clients show none, with it they must. Raises ValueError.

    server_cert: the server's certificate and the chain above it.
    """

    server_cert: Path
    server_key: Path
    root_cert: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcOptions:
    """The front end's options. Raises ValueError, naming the flag and what it may be.

    frontend: one of FRONT_ENDS.
    port: 0 lets the system choose.
    unix_socket: listened on besides the port.
    reuse_port: other processes may listen on the same port; the system shares the connections out.
    tls: None serves in clear text.
    infer_response_compression_level: one of COMPRESSION_LEVELS, for clients that accept compression.
    restrictions: which calls need a key. forwarded_headers: those that become parameters of requests.
    """

    frontend: str = "native"
    address: str = "0.0.0.0"
    port: int = 8001
    unix_socket: Path | None = None
    reuse_port: bool = False
    tls: TlsOptions | None = None
    infer_response_compression_level: str = "none"
    restrictions: Restrictions = field(default_factory=Restrictions)
    forwarded_headers: re.Pattern[str] | None = None
    limits: GrpcLimits = field(default_factory=GrpcLimits)

    def __post_init__(self) -> None:
        require(
            self.frontend in FRONT_ENDS, f"--frontend must be one of {', '.join(FRONT_ENDS)}, got '{self.frontend}'"
        )
        require(bool(self.address), "--grpc-address must not be empty")
        require(0 <= self.port <= 65535, f"--grpc-port must be in range [0, 65535], got {self.port}")
        require(self.unix_socket is None or bool(self.unix_socket.name), "--grpc-unix-socket must name a file")
        require(
            self.infer_response_compression_level in COMPRESSION_LEVELS,
            f"--grpc-infer-response-compression-level must be one of {', '.join(COMPRESSION_LEVELS)}, "
            f"got '{self.infer_response_compression_level}'",
        )


def tls_options(
    *, use_ssl: bool, mutual: bool, server_cert: Path | None, server_key: Path | None, root_cert: Path | None
) -> TlsOptions | None:
    """Join Triton's five flags; `mutual` alone asks for TLS too, as in Triton. Raises ValueError."""
    if not use_ssl and not mutual:
        return None
    asked = "--grpc-use-ssl-mutual" if mutual else "--grpc-use-ssl"
    if server_cert is None:
        raise ValueError(f"{asked} needs --grpc-server-cert")
    if server_key is None:
        raise ValueError(f"{asked} needs --grpc-server-key")
    if mutual and root_cert is None:
        raise ValueError(f"{asked} needs --grpc-root-cert")
    return TlsOptions(server_cert=server_cert, server_key=server_key, root_cert=root_cert if mutual else None)
