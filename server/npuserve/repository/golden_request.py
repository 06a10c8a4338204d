"""Golden samples as requests."""

from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements
from npuserve.core.errors import invalid
from npuserve.core.execution import ExecuteRequest
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.tensor import Tensor
from npuserve.repository.golden_file import GoldenSample

_WHOLE_SEQUENCE = {"sequence_id": 1, "sequence_start": True, "sequence_end": True}


def golden_request(sample: GoldenSample, config: ModelConfig, signature: ModelSignature) -> ExecuteRequest:
    """Return the request, of the tensors that the model's file takes. Raises ServeError: INVALID_ARGUMENT."""
    specs = {spec.name: spec for spec in signature.inputs}
    optional = {tensor.name for tensor in config.input if tensor.optional}
    missing = [name for name in specs if name not in sample.inputs and name not in optional]
    unknown = [name for name in sample.inputs if name not in specs]
    if missing:
        raise invalid(f"it misses the model's input '{missing[0]}'")
    if unknown:
        raise invalid(f"the model has no input '{unknown[0]}'")
    _check_outputs(sample, signature)
    batches = config.max_batch_size > 0
    inputs = [_tensor(specs[name], sample.inputs[name]) for name in specs if name in sample.inputs]
    rows = inputs[0].shape[0] if batches and inputs and inputs[0].shape else 1
    if batches and (rows > config.max_batch_size or any(tensor.shape[:1] != (rows,) for tensor in inputs)):
        raise invalid(f"the inputs must have one number of rows, at most max_batch_size ({config.max_batch_size})")
    return ExecuteRequest(
        inputs=inputs,
        rows=rows,
        parameters=_WHOLE_SEQUENCE if config.HasField("sequence_batching") else {},
    )


def _check_outputs(sample: GoldenSample, signature: ModelSignature) -> None:
    dtypes = {spec.name: spec.dtype for spec in signature.outputs}
    if unknown := [name for name in sample.outputs if name not in dtypes]:
        raise invalid(f"the model has no output '{unknown[0]}'")
    for name, array in sample.outputs.items():
        if dtypes[name] is Dtype.BYTES or array.dtype.kind not in "biuf":
            raise invalid(f"output '{name}' is of texts, which cannot be nearly equal")


def _tensor(spec: TensorSpec, given: npt.NDArray[Any]) -> Tensor:
    return Tensor(spec.name, spec.dtype, given.shape, _content(spec, given))


def _content(spec: TensorSpec, given: npt.NDArray[Any]) -> bytes:
    """Return the elements as the model takes them: exactly, or, as floating point, rounded."""
    if spec.dtype is Dtype.BYTES:
        if given.dtype.kind not in "US":
            raise invalid(f"input '{spec.name}' must be of texts, got {given.dtype}")
        texts = (each if isinstance(each, bytes) else each.encode() for each in given.ravel().tolist())
        return join_elements(texts)
    if given.dtype.kind not in "biuf":
        raise invalid(f"input '{spec.name}' must be of numbers, got {given.dtype}")
    if spec.dtype is Dtype.BF16:
        return _bfloat16(given)
    if given.dtype == spec.dtype.numpy:
        return np.ascontiguousarray(given).tobytes()
    with np.errstate(all="ignore"):
        cast = given.astype(spec.dtype.numpy)
    if spec.dtype.numpy.kind != "f" and not np.array_equal(cast, given):
        raise invalid(f"input '{spec.name}' has values that are none of type {spec.dtype.value}")
    return cast.tobytes()


def _bfloat16(given: npt.NDArray[Any]) -> bytes:
    """Round to the nearest, ties to even."""
    bits = given.astype("<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
