"""ONNX models in the native engine: their gears are found, and no Python runs for a request."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from npuserve import _engine
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.batching import BatchingOptions, batching_options
from npuserve.config.onnx_gears import GEARS, onnx_gears
from npuserve.config.parameters import wrong
from npuserve.core.errors import ServeError, invalid
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.execution.completions import CompletionRouter
from npuserve.execution.native import NativeExecutor, native_options
from npuserve.execution.onnx_gears import GearPlan, UnfitError
from npuserve.execution.onnx_library import library_file
from npuserve.execution.onnx_options import FOR_SHAPES, onnx_options
from npuserve.execution.sharing import DeviceSharing

_log = logging.getLogger(__name__)


class OnnxEngine:
    """Loads ONNX models that have gears. Loads ONNX Runtime's library with the first of them."""

    def __init__(self, sharing: DeviceSharing) -> None:
        self._sharing = sharing
        self._start = asyncio.Lock()
        self._was_sought = False
        self._runtime: _engine.OnnxRuntime | None = None
        self._router: CompletionRouter | None = None

    async def with_gears(self, file: Path, config: ModelConfig, signature: ModelSignature) -> ModelSignature:
        """Return the signature with the gears that the model is to run; as it is if it cannot run in gears.

        config: complete, agrees with the signature. Raises ServeError: INVALID_ARGUMENT for gears that the config asks
        for and that cannot be.
        """
        given = onnx_gears(config)
        runtime = await self._started()
        if runtime is None:
            if given:
                _log.warning("model '%s': parameter '%s' has no effect without the native engine", config.name, GEARS)
            return signature
        try:
            plan = GearPlan(config, signature, given)
            return await asyncio.to_thread(_find, runtime, file, plan)
        except UnfitError as reason:
            if given:
                raise wrong(config, GEARS, str(reason)) from reason
            _log.info("model '%s' runs without gears: %s", config.name, reason)
            return signature

    async def load(self, file: Path, config: ModelConfig, signature: ModelSignature) -> NativeExecutor:
        """Load a model whose signature has gears. Raises ServeError."""
        runtime = await self._started()
        assert runtime is not None and self._router is not None
        options = onnx_options(config)
        batching = _batching(config, signature)
        native = native_options(config, batching)
        self._sharing.apply(native, config, batching, on_cpu=True)
        try:
            model = await asyncio.to_thread(
                _engine.Model.onnxruntime,
                runtime,
                str(file),
                options.of_engine(),
                options.shares_session,
                _native(signature),
                native,
                self._router.queue,
            )
        except _engine.OnnxError as error:
            raise ServeError(StatusCode.INTERNAL, str(error)) from error
        except ValueError as error:
            raise invalid(f"failed to load '{config.name}': {error}") from error
        except MemoryError as error:
            raise ServeError(
                StatusCode.UNAVAILABLE, f"failed to load '{config.name}': not enough memory for its slots"
            ) from error
        return NativeExecutor(config.name, model, signature, self._router)

    async def close(self) -> None:
        """Stop watching for completions. Every executor must be closed."""
        if self._router is not None:
            self._router.close()
            self._router = None
        self._runtime, self._was_sought = None, False

    async def _started(self) -> _engine.OnnxRuntime | None:
        async with self._start:
            if not self._was_sought:
                self._was_sought = True
                self._runtime = await asyncio.to_thread(_opened)
            if self._runtime is not None and self._router is None:
                self._router = CompletionRouter()
                self._router.start()
            return self._runtime


def _opened() -> _engine.OnnxRuntime | None:
    file = library_file()
    if file is None:
        _log.warning("ONNX models run in Python: the installed onnxruntime carries no libonnxruntime.so")
        return None
    try:
        return _engine.OnnxRuntime(str(file))
    except (_engine.OnnxLibraryError, _engine.OnnxError) as error:
        _log.warning("ONNX models run in Python: %s", error)
        return None


def _find(runtime: _engine.OnnxRuntime, file: Path, plan: GearPlan) -> ModelSignature:
    try:
        session = _engine.OnnxSession(
            runtime,
            str(file),
            FOR_SHAPES.of_engine(),
            [_described(spec) for spec in plan.inputs],
            [spec.name for spec in plan.outputs],
        )
    except _engine.OnnxError as error:
        raise ServeError(StatusCode.INTERNAL, str(error)) from error
    return plan.find(session)


def _batching(config: ModelConfig, signature: ModelSignature) -> BatchingOptions:
    """Return the options, with the axes that do follow the length among those that the config leaves open."""
    batching = batching_options(config, signature, device_count=0, on_cpu=True)
    axes = tuple(
        tuple(axis for axis in axes if spec.shape[axis] == -1)
        for spec, axes in zip(signature.outputs, batching.variable_output_axes, strict=True)
    )
    return replace(batching, variable_output_axes=axes)


def _native(signature: ModelSignature) -> _engine.Signature:
    return _engine.make_signature(
        inputs=[_described(spec) for spec in signature.inputs],
        outputs=[_described(spec) for spec in signature.outputs],
        gears=[(gear.input_shapes, gear.output_shapes) for gear in signature.gears],
    )


def _described(spec: TensorSpec) -> tuple[str, str, tuple[int, ...]]:
    return spec.name, spec.dtype.value, spec.shape
