"""ONNX models on the CPU, by ONNX Runtime: for operators that do not convert, and for repositories that have them.

The package is an extra of this one and is imported with the first model.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.scheduling import scheduling_options
from npuserve.config.validate import unsupported
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.execution.onnx_session import OnnxRunner, runtime_error
from npuserve.execution.scheduling import ScheduledExecutor

if TYPE_CHECKING:
    import onnxruntime

_MODEL_IN_FOLDER = "model.onnx"
_PROVIDERS = ["CPUExecutionProvider"]
_SESSION_ENTRY = "session."
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
# `optimization { graph { level } }` as Triton's backend reads it; any other level is all of them.
_LEVELS = {-1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}


class OnnxRuntimeBackend:
    """Loads ONNX files, a session for each instance."""

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

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> ScheduledExecutor:
        """Load the sessions. Raises ServeError: INVALID_ARGUMENT for its parameters, else as `describe`."""
        _refuse_unsupported(config)
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
        """Do nothing: all is the executors'."""


def _refuse_unsupported(config: ModelConfig) -> None:
    """Refuse what would change a model's answers if it were left out."""
    if config.batch_input or config.batch_output:
        raise unsupported(config, "batch_input or batch_output")
    for tensor in config.input:
        if tensor.allow_ragged_batch:
            raise unsupported(config, f"allow_ragged_batch of input '{tensor.name}'")


def _describe(path: Path, config: ModelConfig) -> ModelSignature:
    ort = _runtime()
    options = ort.SessionOptions()
    # Only the names, types and shapes are read; optimizing would take the longest.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = _session(ort, path, options)
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
    ort = _runtime()
    sessions: list[onnxruntime.InferenceSession] = []
    for group in config.instance_group:
        count = 0 if group.passive else group.count
        if _flag(config, "share_session_between_instances", default=False) and count:
            sessions += [_session(ort, path, _session_options(ort, config))] * count
        else:
            sessions += [_session(ort, path, _session_options(ort, config)) for _ in range(count)]
    if not sessions:
        raise invalid(f"model '{config.name}' has no instance that takes requests")
    return sessions


def _session(ort: Any, path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    file = path / _MODEL_IN_FOLDER if path.is_dir() else path
    try:
        return ort.InferenceSession(str(file), options, providers=_PROVIDERS)
    except Exception as error:
        # What the package raises has no root of its own.
        raise runtime_error(error) from error


def _session_options(ort: Any, config: ModelConfig) -> onnxruntime.SessionOptions:
    """Map the parameters that Triton's backend knows, and session entries by their own names, as `session.*`."""
    options = ort.SessionOptions()
    level = _LEVELS.get(config.optimization.graph.level, "ORT_ENABLE_ALL")
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    mode = _number(config, "execution_mode")
    if mode not in (0, 1):
        raise invalid(
            f"Invalid configuration value provided. Expected values for  execution_mode are 0 or 1 but got {mode} ."
        )
    options.execution_mode = ort.ExecutionMode.ORT_PARALLEL if mode else ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = max(0, _number(config, "intra_op_thread_count"))
    options.inter_op_num_threads = max(0, _number(config, "inter_op_thread_count"))
    options.enable_cpu_mem_arena = _flag(config, "enable_mem_arena", default=True)
    options.enable_mem_pattern = _flag(config, "enable_mem_pattern", default=True)
    for name, value in config.parameters.items():
        if name.startswith(_SESSION_ENTRY):
            options.add_session_config_entry(name, value.string_value)
    return options


def _number(config: ModelConfig, name: str) -> int:
    """Return a parameter that is a whole number; 0 if it is not given."""
    if name not in config.parameters:
        return 0
    text = config.parameters[name].string_value
    try:
        return int(text)
    except ValueError:
        raise invalid(f"model '{config.name}': parameter '{name}' must be an integer, got '{text}'") from None


def _flag(config: ModelConfig, name: str, *, default: bool) -> bool:
    if name not in config.parameters:
        return default
    text = config.parameters[name].string_value
    if text.lower() not in ("true", "false", "1", "0"):
        raise invalid(f"model '{config.name}': parameter '{name}' must be true or false, got '{text}'")
    return text.lower() in ("true", "1")


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
