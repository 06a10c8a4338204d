"""Takes one model version from its folder to an executor. Knows no states: whoever calls keeps them."""

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.batching import settings_without_effect
from npuserve.config.complete import DEFAULT_MAX_BATCH_SIZE, complete_model_config
from npuserve.config.contradiction import check_against_signature
from npuserve.config.model_config import parse_model_config_json, read_model_config
from npuserve.config.parameters import misspelt_parameters
from npuserve.config.platforms import identify_backend
from npuserve.config.sequence import visible_signature
from npuserve.config.validate import validate_instances, validate_model_config, validate_tensors
from npuserve.core.errors import ServeError, invalid
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from npuserve.execution.assembly import assemble
from npuserve.execution.backend import Backend, CompletingBackend, GearedBackend
from npuserve.execution.executor import Executor
from npuserve.execution.response_cache import ResponseCache
from npuserve.observability.snapshot import Agreement
from npuserve.repository.golden import check_golden, with_agreement
from npuserve.repository.labels import Labels, read_labels
from npuserve.repository.leases import Leases
from npuserve.repository.scan import ModelDirectory
from npuserve.repository.warmup import warm_up

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """One model version that serves: its effective config, what its file says of itself, and what runs it.

    load_seconds: what loading took, warm-up included. golden: how near its answers came to the golden ones; None if
    there were none to come near to.
    leases: whoever looked the version up and may wait before the executor has accepted the request holds one.
    """

    name: str
    version: int
    config: ModelConfig
    signature: ModelSignature
    executor: Executor
    labels: Labels = field(default_factory=dict)
    load_seconds: float = 0.0
    golden: Agreement | None = None
    leases: Leases = field(default_factory=Leases, repr=False, compare=False)


class ModelLoader:
    """Reads configs and loads versions, each with the backend that its config or its files name.

    backends: by backend name; ensembles, which have none, by their platform.
    auto_complete: whether a config may leave out what its folder and its compiled model say.
    default_max_batch_sizes: by backend ("": of every other), of models that can batch and do not say how far.
    cache: where answers are kept of models that ask for it; None: nowhere.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        *,
        auto_complete: bool = True,
        default_max_batch_sizes: Mapping[str, int] | None = None,
        cache: ResponseCache | None = None,
    ) -> None:
        self._backends = dict(backends)
        self._auto_complete = auto_complete
        self._default_max_batch_sizes = dict(default_max_batch_sizes or {})
        self._cache = cache
        self._loads = itertools.count(1)

    def read_config(self, directory: ModelDirectory, override: str | None = None) -> ModelConfig:
        """Read what the folder says of the model, before any file of it is loaded. Blocks on the disk.

        override: a config's JSON that takes the place of the folder's.
        Raises ServeError: INVALID_ARGUMENT, or INTERNAL if the config cannot be read.
        """
        config = ModelConfig()
        if override is not None:
            config = parse_model_config_json(override)
        elif os.path.lexists(directory.config_path) or not self._auto_complete:
            # A link that leads nowhere is a config that cannot be read, not none.
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
        """Describe the model file, complete and check the config with it, load, warm up, compare. Raises ServeError."""
        started = time.monotonic()
        backend = self._backends.get(config.backend or config.platform)
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
        if self._auto_complete and isinstance(backend, CompletingBackend):
            config = await backend.complete(path, config)
        full_signature = await backend.describe(path, config)
        complete = await self._complete(backend, config, visible_signature(config, full_signature))
        if isinstance(backend, GearedBackend):
            full_signature = await backend.with_gears(path, complete, full_signature)
        signature = visible_signature(config, full_signature)
        self._warn(complete, signature)
        executor = await assemble(
            backend,
            path,
            complete,
            full_signature,
            model_folder=directory.path,
            cache=self._cache,
            identity=f"{directory.name}/{version}/{next(self._loads)}",
        )
        try:
            await warm_up(executor, complete, signature, directory.path)
            golden = await check_golden(executor, complete, signature, directory.version_path(version))
        except BaseException:
            await executor.close()
            raise
        return LoadedModel(
            directory.name,
            version,
            complete if golden is None else with_agreement(complete, golden),
            signature,
            executor,
            labels,
            load_seconds=time.monotonic() - started,
            golden=golden,
        )

    async def _complete(self, backend: Backend, config: ModelConfig, signature: ModelSignature) -> ModelConfig:
        """Return the effective config, which fits the model and the devices. Raises ServeError."""
        device_count = await backend.device_count()
        complete = complete_model_config(
            config,
            signature,
            device_count=device_count,
            auto_complete=self._auto_complete,
            default_max_batch_size=self._default_max_batch_size(config.backend),
        )
        validate_model_config(complete)
        validate_tensors(complete)
        validate_instances(complete, device_count)
        check_against_signature(complete, signature)
        return complete

    def _warn(self, config: ModelConfig, signature: ModelSignature) -> None:
        """Log what the config says without effect. Raises ServeError for buckets that cannot be."""
        if config.response_cache.enable and self._cache is None:
            _log.warning("model '%s': answers are not cached, as the server has no cache (--cache-config)", config.name)
        for given, meant in misspelt_parameters(config):
            _log.warning("model '%s': nothing reads parameter '%s': is '%s' meant?", config.name, given, meant)
        if ignored := settings_without_effect(config, signature):
            _log.warning("model '%s': accepted, but without effect: %s", config.name, ", ".join(ignored))

    def _default_max_batch_size(self, backend: str) -> int:
        sizes = self._default_max_batch_sizes
        return sizes.get(backend, sizes.get("", DEFAULT_MAX_BATCH_SIZE))

    async def close(self) -> None:
        """Close the backends. Every executor must be closed. Raises ExceptionGroup after all if some failed to."""
        results = await asyncio.gather(*(each.close() for each in self._backends.values()), return_exceptions=True)
        if errors := [result for result in results if isinstance(result, Exception)]:
            raise ExceptionGroup("some backends failed to close", errors)


def _require_version(directory: ModelDirectory, path: Path, *, is_file: bool) -> None:
    """Raise ServeError unless the version, a file or a folder, is there."""
    if not (path.is_file() if is_file else path.is_dir()):
        raise ServeError(StatusCode.UNAVAILABLE, f"unable to find '{path}' for model '{directory.name}'")
