"""OM models on Ascend devices, through the native engine."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from npuserve import _engine
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.batching import batching_options
from npuserve.core.errors import ServeError
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from npuserve.execution.completions import CompletionRouter
from npuserve.execution.model_memory import ModelMemory
from npuserve.execution.native import NativeExecutor, model_signature, native_options
from npuserve.execution.pinned_regions import PinnedRegions
from npuserve.execution.sharing import DeviceSharing
from npuserve.observability.machine import DeviceSample
from npuserve.observability.npu_smi import filled

_log = logging.getLogger(__name__)


class AscendBackend:
    """Loads OM models. Starts AscendCL with the first model; one per process, as AscendCL is.

    candidates: in order of preference, the files that together are one AscendCL library.
    boards: tells what AscendCL does not, of every device of the machine under the machine's numbers; may block.
    sharing: what the models share with those of other backends; None: with each other.
    """

    def __init__(
        self,
        candidates: Sequence[Sequence[str]],
        boards: Callable[[], Sequence[DeviceSample]] = tuple,
        sharing: DeviceSharing | None = None,
    ) -> None:
        self._sharing = sharing or DeviceSharing()
        self._candidates = [list(files) for files in candidates]
        self._boards = boards
        self._start = asyncio.Lock()
        self._runtime: _engine.Runtime | None = None
        self._router: CompletionRouter | None = None
        self._regions = PinnedRegions()
        self._memory = ModelMemory()
        self._asking = threading.Lock()  # held while devices are asked, and while AscendCL is ended
        self._silent: set[int] = set()  # guarded by _asking: devices that did not answer when last asked

    @property
    def needs_model_file(self) -> bool:
        """True: a version is an OM."""
        return True

    @property
    def regions(self) -> PinnedRegions:
        """The shared memory that models read from: to be told of what is registered."""
        return self._regions

    @property
    def memory(self) -> ModelMemory:
        """What the loaded models take of the devices."""
        return self._memory

    @property
    def borrowed_inputs(self) -> int:
        """How many inputs devices have read from shared memory by themselves since AscendCL was started."""
        return 0 if self._runtime is None else self._runtime.borrowed_inputs

    async def device_count(self) -> int:
        """Return how many NPUs there are. Raises ServeError: UNAVAILABLE if AscendCL cannot be used."""
        return (await self._started()).device_count

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        """Return what the OM says of itself, whatever the config says.

        Raises ServeError: INVALID_ARGUMENT if it is not a usable OM.
        """
        runtime = await self._started()
        with _load_errors(path, config):
            return model_signature(await asyncio.to_thread(runtime.describe, str(path)))

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> NativeExecutor:
        """Load the OM once per instance, allocate its slots and warm up every gear. Raises ServeError."""
        runtime = await self._started()
        assert self._router is not None
        batching = batching_options(config, signature, device_count=runtime.device_count)
        options = native_options(config, batching)
        self._sharing.apply(options, config, batching)
        self._sharing.place(options, config, batching)
        with _load_errors(path, config):
            model = await asyncio.to_thread(_engine.Model, runtime, str(path), options, self._router.queue)
        self._memory.add(config.name, path.parent.name, model)
        self._regions.follow(runtime, batching.devices)
        return NativeExecutor(config.name, model, signature, self._router)

    async def close(self) -> None:
        """Finalize AscendCL. Every executor must be closed."""
        if self._router is not None:
            self._router.close()
            self._router = None
        await self._regions.close()
        if self._runtime is not None:
            runtime, self._runtime = self._runtime, None
            count, last = runtime.failed_releases
            if count:
                _log.warning("the driver refused to take back %d handles; the last: %s", count, last)
            await asyncio.to_thread(self._end, runtime)

    def device_samples(self) -> list[DeviceSample]:
        """Return what is known of each device now; nothing before AscendCL was started.

        Any thread, also beside `close`; blocks. Raises AclError if the devices cannot be counted.
        """
        with self._asking:
            runtime = self._runtime
            if runtime is None:
                return []
            samples = [self._sample(runtime, device) for device in range(runtime.device_count)]
        return _joined(samples, self._boards())

    def _sample(self, runtime: _engine.Runtime, device: int) -> tuple[DeviceSample, int | None]:
        """Return what AscendCL tells of a device, and the machine's number of it."""
        try:
            state = runtime.device_state(device)
        except _engine.AclError as error:
            if device not in self._silent:
                self._silent.add(device)
                _log.warning("device %d does not tell its state: %s", device, error)
            return DeviceSample(device=device, is_healthy=False if error.kind == "device_fatal" else None), None
        self._silent.discard(device)
        total, percent = state.memory_total_bytes, state.utilization_percent
        sample = DeviceSample(
            device=device,
            memory_total_bytes=total or None,
            memory_used_bytes=total - state.memory_free_bytes if total else None,
            utilization=None if percent is None else percent / 100,
        )
        return sample, state.physical_id

    def _end(self, runtime: _engine.Runtime) -> None:
        with self._asking:
            runtime.close()

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


def _joined(samples: Sequence[tuple[DeviceSample, int | None]], boards: Sequence[DeviceSample]) -> list[DeviceSample]:
    """Fill in what the boards tell: of the same number, or, if these are all devices of the machine, the same place."""
    numbered = {board.device: board for board in boards}
    if not all(number in numbered for _, number in samples) and len(boards) == len(samples):
        return [filled(sample, board) for (sample, _), board in zip(samples, boards, strict=True)]
    return [
        filled(sample, numbered[number]) if number is not None and number in numbered else sample
        for sample, number in samples
    ]


@contextmanager
def _load_errors(path: Path, config: ModelConfig) -> Iterator[None]:
    """Map the engine's failures while a model is read or loaded to what a client sees."""
    try:
        yield
    except _engine.DeviceMemoryError as error:
        raise ServeError(StatusCode.UNAVAILABLE, f"model '{config.name}' {error}") from error
    except _engine.AclError as error:
        status = (
            StatusCode.UNAVAILABLE if error.kind in ("out_of_memory", "device_fatal") else StatusCode.INVALID_ARGUMENT
        )
        raise ServeError(status, f"failed to load '{path}': {error}") from error
    except ValueError as error:
        raise ServeError(StatusCode.INVALID_ARGUMENT, f"failed to load '{path}': {error}") from error
