"""Tensors between numpy arrays and the bytes that the protocol carries. Runs in the worker: numpy is all it needs."""

import struct
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

NUMPY_OF: dict[str, type] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
"""BF16 is not among them: numpy has no such type."""
NUMBERS = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES",
    "BF16",
)  # fmt: skip
"""Names of DataType 1, 2, ... of model_config.proto."""
_NAMES = {np.dtype(kind): name for name, kind in NUMPY_OF.items()}
_IS_LITTLE = sys.byteorder == "little"
_LENGTH = struct.Struct("<I")


def name_of(dtype: np.dtype[Any]) -> str:
    """Return the wire name of an array's dtype; strings of any kind are BYTES. Raises TypeError."""
    if dtype.kind in "SU":
        return "BYTES"
    name = _NAMES.get(dtype.newbyteorder("="))
    if name is None:
        raise TypeError(f"a tensor cannot have the numpy dtype {dtype}")
    return name


def to_bytes(array: Array) -> memoryview:
    """Return an array's content as the protocol carries it, without a copy where it lies so already."""
    if array.dtype.kind in "OSU":
        return memoryview(serialize_byte_tensor(array))
    if not (array.flags.c_contiguous and array.dtype.isnative and _IS_LITTLE):
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return array.reshape(-1).view(np.uint8).data


def from_bytes(content: NDArray[np.uint8], name: str, shape: tuple[int, ...]) -> Array:
    """Return the tensor that these bytes are, as a view where there is one."""
    if name == "BYTES":
        return deserialize_bytes_tensor(content.tobytes()).reshape(shape)
    if name not in NUMPY_OF:
        raise TypeError(
            f"Tensor dtype is {name} and cannot be converted to NumPy. Use to_dlpack() and from_dlpack() instead."
        )
    return content.view(NUMPY_OF[name]).reshape(shape)


def serialize_byte_tensor(array: Array) -> bytes:
    """Return the elements in order, each after its length as 4 little-endian bytes; text as UTF-8."""
    parts: list[bytes] = []
    for element in array.reshape(-1).tolist():
        content = element if isinstance(element, bytes) else str(element).encode()
        parts += (_LENGTH.pack(len(content)), content)
    return b"".join(parts)


def deserialize_bytes_tensor(content: bytes) -> Array:
    """Return the elements of a serialized tensor of strings as a flat array of bytes objects."""
    elements: list[bytes] = []
    position = 0
    while position < len(content):
        (length,) = _LENGTH.unpack_from(content, position)
        position += _LENGTH.size
        elements.append(content[position : position + length])
        position += length
    array = np.empty(len(elements), np.object_)
    array[:] = elements
    return array
