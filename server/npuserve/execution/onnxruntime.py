"""ONNX models on the CPU, by ONNX Runtime: for operators that do not convert, and for repositories that have them.

A model whose shapes are known runs in the native engine; one that takes any length, text or optional inputs runs here,
in Python. The package is an extra of this one and is imported with the first model.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.onnx_gears import onnx_gears
from npuserve.config.scheduling import scheduling_options
from npuserve.config.validate import unsupported
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.execution.executor import Executor
from npuserve.execution.onnx_native import OnnxEngine
from npuserve.execution.onnx_options import FOR_SHAPES, onnx_options
from npuserve.execution.onnx_session import OnnxRunner, runtime_error
from npuserve.execution.scheduling import ScheduledExecutor
from npuserve.execution.sharing import DeviceSharing

if TYPE_CHECKING:
    import onnxruntime

_MODEL_IN_FOLDER = "model.onnx"
_PROVIDERS = ["CPUExecutionProvider"]
_DTYPES = {
    "tensor(bool)": Dtype.BOOL,
    "tensor(uint8)": Dtype.UINT8,
    "tensor(uint16)": Dtype.UINT16,
    "tensor(uint32)": Dtype.UINT32,
    "tensor(uint64)": Dtype.UINT64,
    "tensor(int8)": Dtype.INT8,
    "tensor(int16)": Dtype.INT16,
    "tensor(int32)": Dtype.INT32,
    "tensor(int64)": Dtype.INT64,
    "tensor(float16)": Dtype.FP16,
    "tensor(float)": Dtype.FP32,
    "tensor(double)": Dtype.FP64,
    "tensor(string)": Dtype.BYTES,
}


class OnnxRuntimeBackend:
    """Loads ONNX files, a session for each instance.

    sharing: what models of the native engine share with those of other backends; None: with each other.
    """

    def __init__(self, sharing: DeviceSharing | None = None) -> None:
        self._engine = OnnxEngine(sharing or DeviceSharing())

    @property
    def needs_model_file(self) -> bool:
        """True: a version is an ONNX file, or a folder that has a `model.onnx`."""
        return True

    async def device_count(self) -> int:
        """Return 0: the models run on the CPU."""
        return 0

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        """Return the model's inputs and outputs; symbolic dimensions are -1, and there are no gears.

        Raises ServeError: UNAVAILABLE if ONNX Runtime is not installed, INVALID_ARGUMENT for dtypes that no request
        can carry, INTERNAL with ONNX Runtime's words if it cannot load the model.
        """
        return await asyncio.to_thread(_describe, path, config)

    async def complete(self, path: Path, config: ModelConfig) -> ModelConfig:
        """Return the config with a max_batch_size of the largest gear, where it lists gears and states none."""
        gears = onnx_gears(config)
        if gears is None or config.max_batch_size or (config.input and config.output):
            return config
        completed = ModelConfig()
        completed.CopyFrom(config)
        completed.max_batch_size = gears.rows[-1]
        return completed

    async def with_gears(self, path: Path, config: ModelConfig, signature: ModelSignature) -> ModelSignature:
        """Return the signature with the gears that the native engine is to run; see GearedBackend."""
        _refuse_unsupported(config)
        return await self._engine.with_gears(_file(path), config, signature)

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> Executor:
        """Load the sessions: into the native engine if the signature has gears.

        Raises ServeError: INVALID_ARGUMENT for its parameters, else as `describe`.
        """
        _refuse_unsupported(config)
        if signature.gears:
            return await self._engine.load(_file(path), config, signature)
        sessions = await asyncio.to_thread(_sessions, path, config)
        outputs = {output.name for output in config.output}
        specs = tuple(spec for spec in signature.outputs if spec.name in outputs)
        batches = config.max_batch_size > 0
        runners = [
            OnnxRunner(config.name, f"{config.name}-{index}", session, specs, batches=batches)
            for index, session in enumerate(sessions)
        ]
        return ScheduledExecutor(config.name, signature, scheduling_options(config), runners)

    async def close(self) -> None:
        """Let go of the native engine. Every executor must be closed."""
        await self._engine.close()


def _refuse_unsupported(config: ModelConfig) -> None:
    """Refuse what would change a model's answers if it were left out."""
    if config.batch_input or config.batch_output:
        raise unsupported(config, "batch_input or batch_output")
    for tensor in config.input:
        if tensor.allow_ragged_batch:
            raise unsupported(config, f"allow_ragged_batch of input '{tensor.name}'")


def _describe(path: Path, config: ModelConfig) -> ModelSignature:
    ort = _runtime()
    session = _session(ort, path, FOR_SHAPES.of_package(ort))
    # An initializer that an input may take the place of is an input if the config says so.
    declared = {tensor.name for tensor in config.input}
    overridable = [node for node in session.get_overridable_initializers() if node.name in declared]
    return ModelSignature(
        inputs=tuple(_spec(config, node) for node in (*session.get_inputs(), *overridable)),
        outputs=tuple(_spec(config, node) for node in session.get_outputs()),
        gears=(),
    )


def _sessions(path: Path, config: ModelConfig) -> list[onnxruntime.InferenceSession]:
    """Return a session for each instance that takes requests."""
    ort, options = _runtime(), onnx_options(config)
    sessions: list[onnxruntime.InferenceSession] = []
    for group in config.instance_group:
        count = 0 if group.passive else group.count
        if options.shares_session and count:
            sessions += [_session(ort, path, options.of_package(ort))] * count
        else:
            sessions += [_session(ort, path, options.of_package(ort)) for _ in range(count)]
    if not sessions:
        raise invalid(f"model '{config.name}' has no instance that takes requests")
    return sessions


def _session(ort: Any, path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        return ort.InferenceSession(str(_file(path)), options, providers=_PROVIDERS)
    except Exception as error:
        # What the package raises has no root of its own.
        raise runtime_error(error) from error


def _file(path: Path) -> Path:
    return path / _MODEL_IN_FOLDER if path.is_dir() else path


def _spec(config: ModelConfig, node: Any) -> TensorSpec:
    dtype = _DTYPES.get(node.type)
    if dtype is None:
        raise invalid(f"model '{config.name}', tensor '{node.name}': data type {node.type} is not supported")
    shape = tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in node.shape)
    return TensorSpec(node.name, dtype, shape)


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ServeError(
            StatusCode.UNAVAILABLE,
            "backend 'onnxruntime' needs the package onnxruntime, which is not installed: "
            "pip install npuserve[onnxruntime]",
        ) from error
    return onnxruntime
