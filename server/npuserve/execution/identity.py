"""Models that give every input back as the output of the same place, for tests and measurements of what is around one.

A model of backend `identity` is a config and an empty version folder. It goes through the same queue, batcher and
instances as any other. Its parameter `execute_delay_ms` is the time that an execution takes (0 if it is not given).
"""

import asyncio
import math
from pathlib import Path

from npuserve import _engine
from npuserve._proto.model_config_pb2 import DataType, ModelConfig
from npuserve.config.batching import batching_options
from npuserve.config.contradiction import full_shape
from npuserve.config.validate import validate_tensors
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from npuserve.core.tensor import format_shape
from npuserve.execution.completions import CompletionRouter
from npuserve.execution.native import NativeExecutor, model_signature, native_options
from npuserve.execution.sharing import DeviceSharing

_LONGEST_DELAY_MS = 3_600_000.0
_DTYPES = {dtype.config_name: dtype for dtype in Dtype}


class IdentityBackend:
    """Makes identity models from their configs alone, on the CPU.

    sharing: what the models share with those of other backends; None: with each other.
    """

    def __init__(self, sharing: DeviceSharing | None = None) -> None:
        self._sharing = sharing or DeviceSharing()
        self._router: CompletionRouter | None = None

    @property
    def needs_model_file(self) -> bool:
        """False: the config says everything."""
        return False

    async def device_count(self) -> int:
        """Return 0: the models run on the CPU."""
        return 0

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        """Return the signature that the config asks for.

        Raises ServeError: INVALID_ARGUMENT unless output i has the data type and the fixed dims of input i.
        """
        return model_signature(_native_signature(config))

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> NativeExecutor:
        """Start the instances. Raises ServeError: INVALID_ARGUMENT, UNAVAILABLE if there is not the memory."""
        batching = batching_options(config, signature, device_count=0, on_cpu=True)
        options = native_options(config, batching)
        self._sharing.apply(options, config, batching, on_cpu=True)
        delay_us = _execute_delay_us(config)
        if self._router is None:
            self._router = CompletionRouter()
            self._router.start()
        try:
            model = await asyncio.to_thread(
                _engine.Model.identity, _native_signature(config), options, delay_us, self._router.queue
            )
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


def _native_signature(config: ModelConfig) -> _engine.Signature:
    if not config.input or len(config.input) != len(config.output):
        raise invalid(
            f"model '{config.name}': backend 'identity' needs an output for each input in the config, got "
            f"{len(config.input)} inputs and {len(config.output)} outputs"
        )
    validate_tensors(config)
    tensors: list[tuple[str, str, str, tuple[int, ...]]] = []
    for given, copy in zip(config.input, config.output, strict=True):
        shape, copied = full_shape(config, given), full_shape(config, copy)
        if (given.data_type, shape) != (copy.data_type, copied):
            raise invalid(
                f"model '{config.name}': output '{copy.name}' must have the data type and the shape of input "
                f"'{given.name}', {DataType.Name(given.data_type)} {format_shape(shape)}"
            )
        dims = shape[1:] if config.max_batch_size > 0 else shape
        tensors.append((given.name, copy.name, _DTYPES[DataType.Name(given.data_type)].value, dims))
    try:
        return _engine.identity_signature(tensors, config.max_batch_size)
    except ValueError as error:
        raise invalid(f"model '{config.name}': {error}") from error


def _execute_delay_us(config: ModelConfig) -> int:
    text = config.parameters["execute_delay_ms"].string_value if "execute_delay_ms" in config.parameters else "0"
    try:
        delay_ms = float(text)
    except ValueError:
        delay_ms = math.nan
    if not 0 <= delay_ms <= _LONGEST_DELAY_MS:
        raise invalid(
            f"model '{config.name}': parameter 'execute_delay_ms' must be a number in 0 to {_LONGEST_DELAY_MS:.0f}, "
            f"got '{text}'"
        )
    return round(delay_ms * 1000)
