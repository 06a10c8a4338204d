"""A model on libascendcl.so from numpy arrays, by the C ABI: for tests of what models compute."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from support.emulator import LIBRARY

Array = npt.NDArray[Any]

ALREADY_INITIALISED = 100002  # counted: each aclInit is paired with one aclFinalizeReference
HOST_TO_DEVICE = 1
DEVICE_TO_HOST = 2
DTYPES: dict[int, npt.DTypeLike] = {
    0: np.float32,
    1: np.float16,
    2: np.int8,
    3: np.int32,
    4: np.uint8,
    9: np.int64,
    11: np.float64,
    12: np.bool_,
}


class AclError(Exception):
    def __init__(self, call: str, code: int, text: str) -> None:
        super().__init__(f"{call}: {code}: {text}")
        self.code = code
        self.text = text


class IODims(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char * 128),
        ("dim_count", ctypes.c_size_t),
        ("dims", ctypes.c_int64 * 128),
    )

    def shape(self) -> tuple[int, ...]:
        return tuple(self.dims[: self.dim_count])


class Acl:
    """The library, initialised, with device 0 set for the calling thread."""

    def __init__(self, library: Path = LIBRARY) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.aclGetRecentErrMsg.restype = ctypes.c_char_p
        for name in ("aclmdlCreateDesc", "aclmdlCreateDataset", "aclCreateDataBuffer"):
            getattr(self._library, name).restype = ctypes.c_void_p
        for name in ("aclmdlGetInputSizeByIndex", "aclmdlGetOutputSizeByIndex"):
            getattr(self._library, name).restype = ctypes.c_size_t
        for name in ("aclmdlGetInputNameByIndex", "aclmdlGetOutputNameByIndex"):
            getattr(self._library, name).restype = ctypes.c_char_p

    def __enter__(self) -> Self:
        code = self.value("aclInit", None)
        if code not in (0, ALREADY_INITIALISED):
            raise AclError("aclInit", code, "")
        self.call("aclrtSetDevice", 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call("aclrtResetDevice", 0)
        self.call("aclFinalizeReference", None)

    def value(self, name: str, *arguments: object) -> Any:
        """The result of a function that returns something else than a status."""
        return getattr(self._library, name)(*map(_argument, arguments))

    def call(self, name: str, *arguments: object) -> None:
        """Calls a function that returns a status; raises AclError unless it is 0."""
        code = self.value(name, *arguments)
        if code != 0:
            text = self._library.aclGetRecentErrMsg()
            raise AclError(name, code, text.decode() if text else "")

    def load(self, path: Path) -> Model:
        return Model(self, path)


def _argument(value: object) -> object:
    """Python integers are pointers, sizes and ids alike here: all are passed 64 bits wide."""
    return ctypes.c_uint64(value) if isinstance(value, int) else value


@dataclass(frozen=True)
class Tensor:
    name: str
    dtype: np.dtype[Any]
    dims: tuple[int, ...]
    size_bytes: int


class Model:
    """A loaded OM. The last input is the gear tensor where there are gears; run() fills it."""

    def __init__(self, acl: Acl, path: Path) -> None:
        self._acl = acl
        identifier = ctypes.c_uint32()
        acl.call("aclmdlLoadFromFile", str(path).encode(), ctypes.byref(identifier))
        self.id = identifier.value
        self._description = acl.value("aclmdlCreateDesc")
        acl.call("aclmdlGetDesc", self._description, self.id)
        self.inputs = self._tensors("Input")
        self.outputs = self._tensors("Output")

    def unload(self) -> None:
        self._acl.call("aclmdlDestroyDesc", self._description)
        self._acl.call("aclmdlUnload", self.id)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Executes once, on the default stream. arrays: the user inputs, of the gear's shapes; dtypes must be right."""
        for array, tensor in zip(arrays, self.inputs, strict=False):
            assert array.dtype == tensor.dtype, f"{tensor.name} is {tensor.dtype}, not {array.dtype}"
        with _Memory(self._acl) as memory:
            inputs = memory.dataset([max(tensor.size_bytes, 64) for tensor in self.inputs], self.inputs)
            outputs = memory.dataset([tensor.size_bytes for tensor in self.outputs], self.outputs)
            for address, array in zip(inputs.addresses, arrays, strict=False):
                memory.write(address, np.ascontiguousarray(array))
            if len(self.inputs) > len(arrays):
                self._set_gear(inputs.handle, [array.shape for array in arrays])
            self._acl.call("aclmdlExecuteAsync", self.id, inputs.handle, outputs.handle, None)
            self._acl.call("aclrtSynchronizeStream", None)
            return [
                memory.read(address, self._current_shape(index), tensor.dtype)
                for index, (address, tensor) in enumerate(zip(outputs.addresses, self.outputs, strict=True))
            ]

    def _set_gear(self, dataset: int, shapes: Sequence[tuple[int, ...]]) -> None:
        gears = ctypes.c_size_t()
        self._acl.call("aclmdlGetInputDynamicGearCount", self._description, ctypes.c_size_t(-1), ctypes.byref(gears))
        index = len(self.inputs) - 1
        if gears.value == 0:
            self._acl.call("aclmdlSetDynamicBatchSize", self.id, dataset, index, shapes[0][0])
            return
        dims = IODims()
        for axis in (axis for shape in shapes for axis in shape):
            dims.dims[dims.dim_count] = axis
            dims.dim_count += 1
        self._acl.call("aclmdlSetInputDynamicDims", self.id, dataset, index, ctypes.byref(dims))

    def _current_shape(self, index: int) -> tuple[int, ...]:
        dims = IODims()
        self._acl.call("aclmdlGetCurOutputDims", self._description, index, ctypes.byref(dims))
        return dims.shape()

    def _tensors(self, side: str) -> list[Tensor]:
        tensors = []
        for index in range(self._acl.value(f"aclmdlGetNum{side}s", self._description)):
            dims = IODims()
            self._acl.call(f"aclmdlGet{side}Dims", self._description, index, ctypes.byref(dims))
            tensors.append(
                Tensor(
                    name=self._acl.value(f"aclmdlGet{side}NameByIndex", self._description, index).decode(),
                    dtype=np.dtype(DTYPES[self._acl.value(f"aclmdlGet{side}DataType", self._description, index)]),
                    dims=dims.shape(),
                    size_bytes=self._acl.value(f"aclmdlGet{side}SizeByIndex", self._description, index),
                )
            )
        return tensors


@dataclass(frozen=True)
class _Dataset:
    handle: int
    addresses: list[int]


class _Memory:
    """Device memory and datasets of one execution, given back at the end."""

    def __init__(self, acl: Acl) -> None:
        self._acl = acl
        self._undo: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, handle in reversed(self._undo):
            self._acl.call(name, handle)

    def dataset(self, sizes: Sequence[int], tensors: Sequence[Tensor]) -> _Dataset:
        handle = self._acl.value("aclmdlCreateDataset")
        self._undo.append(("aclmdlDestroyDataset", handle))
        addresses = []
        for size, tensor in zip(sizes, tensors, strict=True):
            address = ctypes.c_void_p()
            self._acl.call("aclrtMalloc", ctypes.byref(address), size, 0)
            assert address.value is not None
            self._undo.append(("aclrtFree", address.value))
            buffer = self._acl.value("aclCreateDataBuffer", address.value, tensor.size_bytes)
            self._undo.append(("aclDestroyDataBuffer", buffer))
            self._acl.call("aclmdlAddDatasetBuffer", handle, buffer)
            addresses.append(address.value)
        return _Dataset(handle, addresses)

    def write(self, address: int, array: Array) -> None:
        self._acl.call("aclrtMemcpy", address, array.nbytes, array.ctypes.data, array.nbytes, HOST_TO_DEVICE)

    def read(self, address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        array: Array = np.empty(shape, dtype)
        self._acl.call("aclrtMemcpy", array.ctypes.data, array.nbytes, address, array.nbytes, DEVICE_TO_HOST)
        return array
