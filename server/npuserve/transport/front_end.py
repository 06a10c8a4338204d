"""The interface of what speaks a protocol to clients; `lifecycle` starts and stops it."""

from typing import Protocol


class FrontEndError(Exception):
    """The front end could not start; the message is for the operator."""


class FrontEnd(Protocol):
    """Serves a method table on one address. Every method is called on the event loop."""

    @property
    def title(self) -> str:
        """What the log calls it: `GRPCInferenceService`."""
        ...

    async def start(self) -> str:
        """Open the port and serve; return the address as `host:port`. Raises FrontEndError."""
        ...

    def stop_accepting(self) -> None:
        """From now on answer new calls UNAVAILABLE; accepted ones go on. Idempotent."""
        ...

    async def drain(self) -> None:
        """Return when every accepted call has been answered. Nothing is accepted any more."""
        ...

    async def stop(self) -> None:
        """Close the port and all connections; calls that are still open are cancelled. Idempotent."""
        ...

    async def release(self) -> None:
        """Give back what the models' answers needed, once every model is closed. Idempotent."""
        ...
