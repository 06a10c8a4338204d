"""Element types, with their names on the wire, in config.pbtxt and in numpy."""

from enum import Enum

import numpy as np


class Dtype(Enum):
    """An element type; the value is Triton's wire name (`ModelInferRequest.InferInputTensor.datatype`)."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BF16 = "BF16"
    BYTES = "BYTES"

    @property
    def size_bytes(self) -> int:
        """Bytes per element; 0 for BYTES, whose elements vary."""
        return _SIZES[self]

    @property
    def config_name(self) -> str:
        """The name in config.pbtxt, as `TYPE_FP32`."""
        return "TYPE_STRING" if self is Dtype.BYTES else f"TYPE_{self.value}"

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The numpy dtype of the raw bytes; BF16 has none of its own and reads as uint16, BYTES as object."""
        return _NUMPY[self]


_SIZES = {
    Dtype.BOOL: 1,
    Dtype.UINT8: 1,
    Dtype.UINT16: 2,
    Dtype.UINT32: 4,
    Dtype.UINT64: 8,
    Dtype.INT8: 1,
    Dtype.INT16: 2,
    Dtype.INT32: 4,
    Dtype.INT64: 8,
    Dtype.FP16: 2,
    Dtype.FP32: 4,
    Dtype.FP64: 8,
    Dtype.BF16: 2,
    Dtype.BYTES: 0,
}
_NUMPY: dict[Dtype, np.dtype[np.generic]] = {
    Dtype.BOOL: np.dtype(np.bool_),
    Dtype.UINT8: np.dtype(np.uint8),
    Dtype.UINT16: np.dtype("<u2"),
    Dtype.UINT32: np.dtype("<u4"),
    Dtype.UINT64: np.dtype("<u8"),
    Dtype.INT8: np.dtype(np.int8),
    Dtype.INT16: np.dtype("<i2"),
    Dtype.INT32: np.dtype("<i4"),
    Dtype.INT64: np.dtype("<i8"),
    Dtype.FP16: np.dtype("<f2"),
    Dtype.FP32: np.dtype("<f4"),
    Dtype.FP64: np.dtype("<f8"),
    Dtype.BF16: np.dtype("<u2"),
    Dtype.BYTES: np.dtype(object),
}
