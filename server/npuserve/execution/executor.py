"""The one interface between the repository and what runs a model."""

from collections.abc import AsyncIterator, Awaitable
from typing import Protocol

from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature
from npuserve.observability.statistics import ModelStatistics


class Executor(Protocol):
    """One loaded model version. All methods are called on the event loop; none blocks it."""

    @property
    def signature(self) -> ModelSignature:
        """What the model says of itself."""
        ...

    @property
    def sink(self) -> object | None:
        """A capsule `npuserve.core.Sink` that takes requests natively; None if requests must come through `execute`.

        It may outlive the executor: what is submitted after `close` is answered UNAVAILABLE.
        """
        ...

    def execute(self, request: ExecuteRequest) -> Awaitable[ExecuteResult]:
        """Run one request of a model that is not decoupled; what is returned must be awaited, once.

        What is done at once may be answered by a `Ready`.

        Raises ServeError, at once or when it is awaited: UNAVAILABLE (queue full, stopping), INVALID_ARGUMENT
        (longer than any gear), INTERNAL (the device failed). Cancelling the awaiting task cancels the request if it
        has not been dispatched.
        """
        ...

    def stream(self, request: ExecuteRequest) -> AsyncIterator[ExecuteResult]:
        """Run one request and yield its results as they come: one, or of a decoupled model any number.

        Raises ServeError as `execute`, also after results. Closing the iterator cancels the request.
        """
        ...

    def statistics(self) -> ModelStatistics:
        """Return a consistent snapshot of the counters."""
        ...

    async def close(self) -> None:
        """Refuse new requests, complete the accepted ones, release the device. Idempotent."""
        ...


async def single_result(executor: Executor, request: ExecuteRequest) -> AsyncIterator[ExecuteResult]:
    """Yield what `execute` returns: the `stream` of an executor whose models are never decoupled."""
    yield await executor.execute(request)
