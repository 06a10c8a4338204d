"""OM models on Ascend devices, through the native engine."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from npuserve import _engine
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.batching import BatchingOptions, batching_options
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.signature import Gear, ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.completions import CompletionRouter
from npuserve.observability.statistics import BatchStatistics, Duration, ModelStatistics

_log = logging.getLogger(__name__)

SLOTS_PER_INSTANCE = 2
"""One slot executes while the next is being filled and queued behind it."""


class AscendBackend:
    """Loads OM models. Starts AscendCL with the first model; one per process, as AscendCL is.

    candidates: in order of preference, the files that together are one AscendCL library.
    """

    def __init__(self, candidates: Sequence[Sequence[str]]) -> None:
        self._candidates = [list(files) for files in candidates]
        self._start = asyncio.Lock()
        self._runtime: _engine.Runtime | None = None
        self._router: CompletionRouter | None = None

    async def device_count(self) -> int:
        """Return how many NPUs there are. Raises ServeError: UNAVAILABLE if AscendCL cannot be used."""
        return (await self._started()).device_count

    async def describe(self, path: Path) -> ModelSignature:
        """Return what the OM says of itself. Raises ServeError: INVALID_ARGUMENT if it is not a usable OM."""
        runtime = await self._started()
        with _load_errors(path):
            return _signature(await asyncio.to_thread(runtime.describe, str(path)))

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> "AscendExecutor":
        """Load the OM once per instance, allocate its slots and warm up every gear. Raises ServeError."""
        runtime = await self._started()
        assert self._router is not None
        options = _options(config.name, batching_options(config, signature, device_count=runtime.device_count))
        with _load_errors(path):
            model = await asyncio.to_thread(_engine.Model, runtime, str(path), options, self._router.queue)
        return AscendExecutor(config.name, model, signature, self._router)

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


class AscendExecutor:
    """One OM model version: the native queue, batcher and instances behind the Executor interface."""

    def __init__(self, name: str, model: _engine.Model, signature: ModelSignature, router: CompletionRouter) -> None:
        self._name = name
        self._model = model
        self._signature = signature
        self._router = router

    def __repr__(self) -> str:
        return f"<AscendExecutor pending={self._model.pending}>"

    @property
    def signature(self) -> ModelSignature:
        """What the OM says of itself."""
        return self._signature

    async def execute(self, inputs: Sequence[Tensor], rows: int) -> list[Tensor]:
        """Run one request; see Executor.execute."""
        arguments = [(tensor.data, tensor.shape) for tensor in inputs]
        completion = await self._router.call(
            lambda token: self._model.submit(token, arguments, rows), self._model.cancel
        )
        if completion.status:
            if completion.status == StatusCode.INTERNAL:
                _log.error("model '%s' failed: %s", self._name, completion.message)
            raise ServeError(StatusCode(completion.status), completion.message)
        return [
            Tensor(spec.name, spec.dtype, output.shape, memoryview(output))
            for spec, output in zip(self._signature.outputs, completion.outputs, strict=True)
        ]

    def statistics(self) -> ModelStatistics:
        """Return a consistent snapshot of the counters."""
        return _statistics(self._model.statistics())

    async def close(self) -> None:
        """Refuse new requests, complete the accepted ones, unload. Idempotent."""
        await asyncio.to_thread(self._model.close)


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


def _options(name: str, batching: BatchingOptions) -> _engine.ModelOptions:
    return _engine.ModelOptions(
        name=name,
        max_batch_size=batching.max_batch_size,
        dynamic_batching=batching.dynamic_batching,
        preferred_batch_sizes=batching.preferred_batch_sizes,
        max_queue_delay_us=batching.max_queue_delay_us,
        max_queue_size=batching.max_queue_size,
        devices=batching.devices,
        slots_per_instance=SLOTS_PER_INSTANCE,
        variable_output_axes=batching.variable_output_axes,
    )


def _signature(native: _engine.Signature) -> ModelSignature:
    return ModelSignature(
        inputs=tuple(_spec(spec) for spec in native.inputs),
        outputs=tuple(_spec(spec) for spec in native.outputs),
        gears=tuple(Gear(tuple(gear.input_shapes), tuple(gear.output_shapes)) for gear in native.gears),
    )


def _spec(native: _engine.TensorSpec) -> TensorSpec:
    return TensorSpec(native.name, Dtype(native.dtype), native.shape)


def _statistics(native: _engine.Statistics) -> ModelStatistics:
    return ModelStatistics(
        last_inference_ms=native.last_inference_ms,
        inference_count=native.inference_count,
        execution_count=native.execution_count,
        success=_duration(native.success),
        fail=_duration(native.fail),
        queue=_duration(native.queue),
        compute_input=_duration(native.compute_input),
        compute_infer=_duration(native.compute_infer),
        compute_output=_duration(native.compute_output),
        batches=tuple(
            BatchStatistics(
                batch.batch_size,
                _duration(batch.compute_input),
                _duration(batch.compute_infer),
                _duration(batch.compute_output),
            )
            for batch in native.batches
        ),
    )


def _duration(native: _engine.DurationCount) -> Duration:
    return Duration(native.count, native.ns)
