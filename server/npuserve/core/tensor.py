"""A tensor as it passes between rooms: a name, a dtype, a shape and raw bytes."""

from collections.abc import Sequence

from npuserve.core.dtype import Dtype
from npuserve.core.record import record


@record()
class Tensor:
    """A named tensor.

    `data` is the row-major little-endian content without padding, C-contiguous host memory (BYTES: a 4-byte
    little-endian length before each element). It is lent: whoever keeps the tensor keeps the memory alive.
    """

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    data: bytes | memoryview


def format_shape(shape: Sequence[int]) -> str:
    """Return a shape as Triton's messages print it: `[-1,16]`."""
    return "[" + ",".join(str(dim) for dim in shape) + "]"
