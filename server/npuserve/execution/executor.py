"""The one interface between the repository and what runs a model."""

from collections.abc import Sequence
from typing import Protocol

from npuserve.core.signature import ModelSignature
from npuserve.core.tensor import Tensor
from npuserve.observability.statistics import ModelStatistics


class Executor(Protocol):
    """One loaded model version. All methods are called on the event loop; none blocks it."""

    @property
    def signature(self) -> ModelSignature:
        """What the compiled model says of itself."""
        ...

    @property
    def sink(self) -> object | None:
        """A capsule `npuserve.core.Sink` that takes requests natively; None if requests must come through `execute`.

        It may outlive the executor: what is submitted after `close` is answered UNAVAILABLE.
        """
        ...

    async def execute(self, inputs: Sequence[Tensor], rows: int) -> list[Tensor]:
        """Run one request and return all outputs in the signature's order, cut to the request's own rows and lengths.

        inputs: one tensor per input of the signature, in its order, already validated against the model's config;
        every shape starts with `rows` when the model batches.
        Raises ServeError: UNAVAILABLE (queue full, stopping), INVALID_ARGUMENT (longer than any gear), INTERNAL
        (the device failed). Cancelling the awaiting task cancels the request if it has not been dispatched.
        """
        ...

    def statistics(self) -> ModelStatistics:
        """Return a consistent snapshot of the counters."""
        ...

    async def close(self) -> None:
        """Refuse new requests, complete the accepted ones, release the device. Idempotent."""
        ...
