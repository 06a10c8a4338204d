"""What a handler may know of the exchange it answers."""

import time
from dataclasses import dataclass

SHUTTING_DOWN = "GRPC server is shutting down and has stopped accepting new requests."
"""What a server that stops answers to new calls, and to new requests on open streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One gRPC exchange, as every front end describes it to the handlers.

    `deadline` is the absolute instant of `time.monotonic()`, in seconds, after which nobody waits for the answer;
    None if the client set none. `metadata` holds the request's custom headers, keys in lower case.
    """

    deadline: float | None = None
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    peer: str = ""

    def expired(self, now: float | None = None) -> bool:
        """Say whether the deadline has passed."""
        return self.deadline is not None and self.deadline <= (time.monotonic() if now is None else now)
