"""How a model calls other models of its server: an ensemble its steps, a Python model whatever it likes."""

from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.request import InferenceRequest, InferenceResponse


class ModelCaller(Protocol):
    """Runs inferences within the server, checked as a client's are. Used on the event loop only."""

    def config(self, model: str, version: str = "") -> ModelConfig:
        """Return the effective config of a ready version. Raises ServeError as a request for it would."""
        ...

    def hold(self, models: Iterable[tuple[str, str]]) -> AbstractContextManager["ModelCaller"]:
        """Give a caller for which these names and versions stay what they are within the block.

        What is unloaded or reloaded meanwhile still answers it. Raises ServeError if one of them is not ready.
        """
        ...

    def infer(self, request: InferenceRequest) -> Awaitable[InferenceResponse]:
        """Give the one response of a model that is not decoupled: a `Ready` if it is there already.

        What is returned must be awaited, once. Raises ServeError, at once or when it is awaited.
        """
        ...

    def stream(self, request: InferenceRequest) -> AsyncIterator[InferenceResponse]:
        """Yield the responses of any model, the last of them with `is_final`. Raises ServeError."""
        ...
