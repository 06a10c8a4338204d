"""The one interface between the repository and what loads models."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.signature import ModelSignature
from npuserve.execution.executor import Executor


class Backend(Protocol):
    """Loads the models of one backend name. All methods are called on the event loop; none blocks it.

    The order is fixed: `describe` tells what the file holds, with that the config is completed and checked, and `load`
    gets the completed config.
    """

    @property
    def needs_model_file(self) -> bool:
        """Whether a version is a file: if not, `path` is the version's folder, and the config says everything."""
        ...

    async def device_count(self) -> int:
        """Return how many accelerators there are; 0 if the backend runs on the CPU. Raises ServeError."""
        ...

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        """Return what a model file says of itself.

        config: as it was read. Raises ServeError: INVALID_ARGUMENT if it is not a usable model.
        """
        ...

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> Executor:
        """Load a model file with its effective config, ready to execute. Raises ServeError."""
        ...

    async def close(self) -> None:
        """Give back what is not any executor's. Every executor must be closed."""
        ...


@runtime_checkable
class CompletingBackend(Protocol):
    """A backend whose models may complete their configs themselves, before they are described."""

    async def complete(self, path: Path, config: ModelConfig) -> ModelConfig:
        """Return the config with what the model says of itself; `config` stays as it is. Raises ServeError."""
        ...


@runtime_checkable
class GearedBackend(Protocol):
    """A backend whose models have no gears of their own, and may be given some."""

    async def with_gears(self, path: Path, config: ModelConfig, signature: ModelSignature) -> ModelSignature:
        """Return the signature with gears; as it is if the model is to run any shape.

        config: completed, agrees with the signature. Raises ServeError.
        """
        ...
