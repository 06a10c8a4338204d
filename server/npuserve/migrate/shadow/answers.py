"""What a ModelInferResponse says, output by output, as numpy arrays."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from npuserve._proto import inference_pb2 as pb
from npuserve.core.contents import CONTENTS_FIELDS
from npuserve.core.dtype import Dtype
from npuserve.core.elements import split_elements

Array = npt.NDArray[Any]

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
FLOATS = frozenset({Dtype.FP16, Dtype.BF16, Dtype.FP32, Dtype.FP64})


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """An output or an input. values: in its shape; floats as float64, elements of BYTES as objects."""

    datatype: str
    values: Array

    @property
    def is_float(self) -> bool:
        """Whether near is good enough."""
        return Dtype(self.datatype) in FLOATS


def inflated(message: bytes) -> bytes:
    """Return a message that left compressed. Raises ValueError."""
    try:
        return zlib.decompress(message, _GZIP_OR_ZLIB)
    except zlib.error as error:
        raise ValueError(f"the answer cannot be decompressed: {error}") from error


def outputs_of(message: bytes) -> dict[str, Tensor]:
    """Return the outputs of a serialized ModelInferResponse by name. Raises ValueError if it is not a whole one."""
    try:
        response = pb.ModelInferResponse.FromString(message)
    except DecodeError as error:
        raise ValueError("it is no ModelInferResponse") from error
    return _tensors(response.outputs, response.raw_output_contents)


def inputs_of(request: pb.ModelInferRequest) -> dict[str, Tensor]:
    """Return a request's inputs by name. Raises ValueError if it is not whole."""
    return _tensors(request.inputs, request.raw_input_contents)


def classified(request: pb.ModelInferRequest) -> frozenset[str]:
    """Return the outputs that were asked for as classes: texts `SCORE:INDEX:LABEL`."""
    return frozenset(output.name for output in request.outputs if "classification" in output.parameters)


def _tensors(described: Any, contents: Any) -> dict[str, Tensor]:
    if contents and len(contents) != len(described):
        raise ValueError(f"it has {len(described)} tensors and the contents of {len(contents)}")
    found = {}
    for place, tensor in enumerate(described):
        try:
            dtype = Dtype(tensor.datatype)
            values = _raw(dtype, contents[place]) if contents else _typed(dtype, tensor.contents)
            found[tensor.name] = Tensor(tensor.datatype, values.reshape(tuple(tensor.shape)))
        except ValueError as error:
            raise ValueError(f"'{tensor.name}' cannot be read: {error}") from error
    return found


def _raw(dtype: Dtype, content: bytes) -> Array:
    if dtype is Dtype.BYTES:
        return _elements(list(split_elements(content)))
    values = np.frombuffer(content, dtype.numpy)
    if dtype is Dtype.BF16:
        return (values.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return values.astype(np.float64) if dtype in FLOATS else values


def _typed(dtype: Dtype, contents: pb.InferTensorContents) -> Array:
    values = getattr(contents, CONTENTS_FIELDS[dtype])
    if dtype is Dtype.BYTES:
        return _elements(list(values))
    return np.array(values, np.float64 if dtype in FLOATS else dtype.numpy)


def _elements(elements: list[bytes]) -> Array:
    # Not np.array: equally long elements would become an array of characters.
    array = np.empty(len(elements), object)
    array[:] = elements
    return array
