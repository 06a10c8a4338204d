"""Takes one model version from its folder to an executor. Knows no states: whoever calls keeps them."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.batching import settings_without_effect
from npuserve.config.complete import complete_model_config
from npuserve.config.contradiction import check_against_signature
from npuserve.config.model_config import read_model_config
from npuserve.config.platforms import identify_backend
from npuserve.config.validate import validate_instances, validate_model_config, validate_tensors
from npuserve.core.errors import ServeError, invalid
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from npuserve.execution.backend import Backend
from npuserve.execution.executor import Executor
from npuserve.repository.labels import Labels, read_labels
from npuserve.repository.scan import ModelDirectory

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """One model version that serves: its effective config, what its file says of itself, and what runs it."""

    name: str
    version: int
    config: ModelConfig
    signature: ModelSignature
    executor: Executor
    labels: Labels = field(default_factory=dict)


class ModelLoader:
    """Reads configs and loads versions, each with the backend that its config or its files name.

    auto_complete: whether a config may leave out what its folder and its compiled model say.
    """

    def __init__(self, backends: Mapping[str, Backend], *, auto_complete: bool = True) -> None:
        self._backends = dict(backends)
        self._auto_complete = auto_complete

    def read_config(self, directory: ModelDirectory) -> ModelConfig:
        """Read what the folder says of the model, before any file of it is loaded. Blocks on the disk.

        Raises ServeError: INVALID_ARGUMENT, or INTERNAL if the config cannot be read.
        """
        config = ModelConfig()
        if directory.config_path.exists() or not self._auto_complete:
            config = read_model_config(directory.config_path)
        if config.name and config.name != directory.name:
            raise invalid(
                f"unexpected directory name '{directory.name}' for model '{config.name}', directory name must equal "
                "model name"
            )
        config.name = directory.name
        first = directory.version_path(directory.versions[0]) if directory.versions else None
        identify_backend(config, {path.name for path in first.iterdir()} if first else ())
        validate_model_config(config)
        return config

    async def load(self, directory: ModelDirectory, version: int, config: ModelConfig) -> LoadedModel:
        """Describe the model file, complete and check the config with it, load. Raises ServeError."""
        backend = self._backends.get(config.backend)
        if backend is None:
            raise invalid(
                f"unable to find backend library for backend '{config.backend or config.platform}', try specifying "
                "runtime on the model configuration."
            )
        path = directory.version_path(version)
        if backend.needs_model_file:
            path /= config.default_model_filename
        await asyncio.to_thread(_require_version, directory, path, is_file=backend.needs_model_file)
        labels = await asyncio.to_thread(read_labels, directory.path, config)
        device_count = await backend.device_count()
        signature = await backend.describe(path, config)
        complete = complete_model_config(
            config, signature, device_count=device_count, auto_complete=self._auto_complete
        )
        validate_model_config(complete)
        validate_tensors(complete)
        validate_instances(complete, device_count)
        check_against_signature(complete, signature)
        if ignored := settings_without_effect(complete):
            _log.warning("model '%s': accepted, but without effect: %s", directory.name, ", ".join(ignored))
        executor = await backend.load(path, complete, signature)
        return LoadedModel(directory.name, version, complete, signature, executor, labels)

    async def close(self) -> None:
        """Close the backends. Every executor must be closed. Raises ExceptionGroup after all if some failed to."""
        results = await asyncio.gather(*(each.close() for each in self._backends.values()), return_exceptions=True)
        if errors := [result for result in results if isinstance(result, Exception)]:
            raise ExceptionGroup("some backends failed to close", errors)


def _require_version(directory: ModelDirectory, path: Path, *, is_file: bool) -> None:
    """Raise ServeError unless the version, a file or a folder, is there."""
    if not (path.is_file() if is_file else path.is_dir()):
        raise ServeError(StatusCode.UNAVAILABLE, f"unable to find '{path}' for model '{directory.name}'")
