"""What the HTTP front ends are told at start: the REST protocol's, and the metrics'."""

import re
from dataclasses import dataclass, field

from npuserve.config.require import require
from npuserve.config.restricted import Restrictions

MAX_INPUT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Where HTTP is served. Raises ValueError, naming the flag and its range.

    name: which of the flags are meant, `http` or `metrics`. port: 0 takes a free one.
    reuse_port: let other servers listen on the same port. max_input_bytes: of the JSON part of a body, of a raw body,
    and of what a compressed body unpacks to.
    restrictions: which calls need a key. forwarded_headers: those that become parameters of requests.
    """

    name: str = "http"
    address: str = "0.0.0.0"
    port: int = 8000
    reuse_port: bool = False
    max_input_bytes: int = MAX_INPUT_BYTES
    restrictions: Restrictions = field(default_factory=Restrictions)
    forwarded_headers: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        require(bool(self.address), f"--{self.name}-address must not be empty")
        require(0 <= self.port <= 65535, f"--{self.name}-port must be in range [0, 65535], got {self.port}")
        require(self.max_input_bytes > 0, f"--http-max-input-size must be 1 or more bytes, got {self.max_input_bytes}")
