"""OM models on Ascend devices, through the native engine."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from npuserve import _engine
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.batching import batching_options
from npuserve.core.errors import ServeError
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from npuserve.execution.completions import CompletionRouter
from npuserve.execution.native import NativeExecutor, model_signature, native_options

_log = logging.getLogger(__name__)


class AscendBackend:
    """Loads OM models. Starts AscendCL with the first model; one per process, as AscendCL is.

    candidates: in order of preference, the files that together are one AscendCL library.
    """

    def __init__(self, candidates: Sequence[Sequence[str]]) -> None:
        self._candidates = [list(files) for files in candidates]
        self._start = asyncio.Lock()
        self._runtime: _engine.Runtime | None = None
        self._router: CompletionRouter | None = None

    @property
    def needs_model_file(self) -> bool:
        """True: a version is an OM."""
        return True

    async def device_count(self) -> int:
        """Return how many NPUs there are. Raises ServeError: UNAVAILABLE if AscendCL cannot be used."""
        return (await self._started()).device_count

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        """Return what the OM says of itself, whatever the config says.

        Raises ServeError: INVALID_ARGUMENT if it is not a usable OM.
        """
        runtime = await self._started()
        with _load_errors(path):
            return model_signature(await asyncio.to_thread(runtime.describe, str(path)))

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> NativeExecutor:
        """Load the OM once per instance, allocate its slots and warm up every gear. Raises ServeError."""
        runtime = await self._started()
        assert self._router is not None
        options = native_options(config, batching_options(config, signature, device_count=runtime.device_count))
        with _load_errors(path):
            model = await asyncio.to_thread(_engine.Model, runtime, str(path), options, self._router.queue)
        return NativeExecutor(config.name, model, signature, self._router)

    async def close(self) -> None:
        """Finalize AscendCL. Every executor must be closed."""
        if self._router is not None:
            self._router.close()
            self._router = None
        if self._runtime is not None:
            runtime, self._runtime = self._runtime, None
            count, last = runtime.failed_releases
            if count:
                _log.warning("the driver refused to take back %d handles; the last: %s", count, last)
            await asyncio.to_thread(runtime.close)

    async def _started(self) -> _engine.Runtime:
        async with self._start:
            if self._runtime is None:
                try:
                    self._runtime = await asyncio.to_thread(_engine.Runtime, self._candidates)
                except (_engine.LibraryError, _engine.AclError) as error:
                    raise ServeError(StatusCode.UNAVAILABLE, str(error)) from error
                self._router = CompletionRouter()
                self._router.start()
            return self._runtime


@contextmanager
def _load_errors(path: Path) -> Iterator[None]:
    """Map the engine's failures while a model is read or loaded to what a client sees."""
    try:
        yield
    except _engine.AclError as error:
        status = (
            StatusCode.UNAVAILABLE if error.kind in ("out_of_memory", "device_fatal") else StatusCode.INVALID_ARGUMENT
        )
        raise ServeError(status, f"failed to load '{path}': {error}") from error
    except ValueError as error:
        raise ServeError(StatusCode.INVALID_ARGUMENT, f"failed to load '{path}': {error}") from error
