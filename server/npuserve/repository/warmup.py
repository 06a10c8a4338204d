"""The requests of `model_warmup`: a version runs them before it is ready."""

import asyncio
import math
from pathlib import Path

import numpy as np

from npuserve._proto.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelWarmup
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.execution import ExecuteRequest
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor, format_shape
from npuserve.execution.executor import Executor

# Texts of these errors are Triton's; warm-up requests have no id.
_NO_ID = "[request id: <id_unknown>] "
_BYTES_LENGTH = 4
_DTYPES = {DataType.Value(dtype.config_name): dtype for dtype in Dtype}
# Random integers are token ids as often as not: small ones are in every vocabulary.
_RANDOM_INTEGERS = 100
_SEED = 0
_WHOLE_SEQUENCE = {"sequence_id": 1, "sequence_start": True, "sequence_end": True}


async def warm_up(executor: Executor, config: ModelConfig, signature: ModelSignature, folder: Path) -> None:
    """Run each sample `count` times on each instance.

    config: completed. folder: the model's, whose `warmup` has the data files.
    Raises ServeError: INVALID_ARGUMENT (a sample that does not fit the model, or that the model fails to run), INTERNAL
    (a data file cannot be read).
    """
    for sample in config.model_warmup:
        request = await asyncio.to_thread(_request, sample, config, signature, folder)
        try:
            # One after another: an executor gives each to the instance that has been idle longest.
            for _ in range(max(sample.count, 1) * _instances(config)):
                await _run(executor, request, config)
        except ServeError as error:
            raise invalid(f"failed to run warmup sample '{sample.name}': {error.message}; ") from error


async def _run(executor: Executor, request: ExecuteRequest, config: ModelConfig) -> None:
    if not config.model_transaction_policy.decoupled:
        await executor.execute(request)
        return
    async for _ in executor.stream(request):
        pass


def _instances(config: ModelConfig) -> int:
    return sum(max(group.count, 1) * max(len(group.gpus), 1) for group in config.instance_group) or 1


def _request(sample: ModelWarmup, config: ModelConfig, signature: ModelSignature, folder: Path) -> ExecuteRequest:
    """Return a sample as the request that the executor takes. Blocks on the data files. Raises ServeError."""
    declared = {tensor.name: tensor for tensor in config.input}
    _check_names(sample, config, declared)
    rows = max(sample.batch_size, 1)
    if config.max_batch_size and rows > config.max_batch_size:
        group = config.instance_group[0].name if config.instance_group else config.name
        raise invalid(
            f"failed to run warmup sample '{sample.name}': batch size {rows} for '{group}_0', max allowed is "
            f"{config.max_batch_size}; "
        )
    return ExecuteRequest(
        inputs=[
            _tensor(declared[spec.name], sample.inputs[spec.name], config, rows, folder)
            for spec in signature.inputs
            if spec.name in sample.inputs
        ],
        rows=rows,
        parameters=_WHOLE_SEQUENCE if config.HasField("sequence_batching") else {},
    )


def _check_names(sample: ModelWarmup, config: ModelConfig, declared: dict[str, ModelInput]) -> None:
    given = [name for name in declared if name in sample.inputs]
    missing = [name for name, tensor in declared.items() if name not in sample.inputs and not tensor.optional]
    if missing:
        raise invalid(
            f"{_NO_ID}expected {len(declared)} inputs but got {len(given)} inputs for model '{config.name}'. Got "
            f"input(s) [{_quoted(given)}], but missing required input(s) [{_quoted(missing)}]. Please provide all "
            "required input(s)."
        )


def _quoted(names: list[str]) -> str:
    return ",".join(f"'{name}'" for name in names)


def _tensor(declared: ModelInput, given: ModelWarmup.Input, config: ModelConfig, rows: int, folder: Path) -> Tensor:
    name = declared.name
    if given.data_type != declared.data_type:
        raise invalid(
            f"{_NO_ID}inference input '{name}' data-type is '{_type_name(given.data_type)}', but model '{config.name}' "
            f"expects '{_type_name(declared.data_type)}'"
        )
    if any(dim < 0 for dim in given.dims):
        raise invalid(f"warmup setting expects all variable-size dimensions are specified for input '{name}'")
    if len(given.dims) != len(declared.dims) or any(
        expected not in (-1, dim) for dim, expected in zip(given.dims, declared.dims, strict=True)
    ):
        raise invalid(
            f"{_NO_ID}unexpected shape for input '{name}' for model '{config.name}'. Expected "
            f"{format_shape(declared.dims)}, got {format_shape(given.dims)}. "
        )
    batch = (rows,) if config.max_batch_size > 0 else ()
    dtype = _DTYPES[declared.data_type]
    elements = math.prod((*batch, *given.dims))
    return Tensor(name, dtype, (*batch, *_model_dims(declared, given)), _content(name, given, dtype, elements, folder))


def _type_name(data_type: int) -> str:
    dtype = _DTYPES.get(data_type)
    return "<invalid>" if dtype is None else dtype.value


def _model_dims(declared: ModelInput, given: ModelWarmup.Input) -> tuple[int, ...]:
    """Return the dims that the model sees: of a reshaped input its own, with the variable sizes carried over."""
    if not declared.HasField("reshape"):
        return tuple(given.dims)
    sizes = iter([dim for dim, expected in zip(given.dims, declared.dims, strict=True) if expected == -1])
    return tuple(next(sizes) if dim == -1 else dim for dim in declared.reshape.shape)


def _content(name: str, given: ModelWarmup.Input, dtype: Dtype, elements: int, folder: Path) -> bytes:
    match given.WhichOneof("input_data_type"):
        case "input_data_file":
            return _file_content(folder / "warmup" / given.input_data_file, given.input_data_file, dtype, elements)
        case "random_data" if dtype is not Dtype.BYTES:
            return _random(dtype, elements)
        case "zero_data" | "random_data":
            # Strings are empty: a length of 0 each.
            return bytes(elements * (dtype.size_bytes or _BYTES_LENGTH))
        case _:
            raise invalid(f"{_NO_ID}warmup setting expects input '{name}' to have input_data_type set")


def _random(dtype: Dtype, elements: int) -> bytes:
    random = np.random.default_rng(_SEED)
    if dtype is Dtype.BF16:
        return (random.random(elements, dtype=np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    if dtype.numpy.kind == "f":
        return random.random(elements).astype(dtype.numpy).tobytes()
    return random.integers(0, 2 if dtype is Dtype.BOOL else _RANDOM_INTEGERS, elements).astype(dtype.numpy).tobytes()


def _file_content(path: Path, name: str, dtype: Dtype, elements: int) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ServeError(StatusCode.INTERNAL, f"failed to open text file for read {path}: {error.strerror}") from error
    expected = elements * dtype.size_bytes
    if dtype is not Dtype.BYTES and len(content) < expected:
        raise invalid(
            f"{_NO_ID}warmup setting expects {expected} bytes, but the data provided from {name}only has "
            f"{len(content)} bytes"
        )
    return content if dtype is Dtype.BYTES else content[:expected]
