"""The vendor's dump files: what every operator of an OM computed on an NPU.

`aclmdlSetDump` (or `dump` in acl.json, with `dump_mode` output or all) writes
`DUMP_PATH/TIME/DEVICE/MODEL/MODEL_ID/INDEX/TYPE.NAME.TASK.STREAM.TIMESTAMP`, a file an operator. It begins with eight
bytes, the length of a message `DumpData` that follows; then come the bytes of all inputs, then those of all outputs, of
the sizes that the message says. The message tells which ONNX node an output belongs to, as fusion has other names.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.compare.fields import FieldError, Fields, Value, fields, packed_numbers
from npuserve.migrate.compare.graph import LayerGraph
from npuserve.migrate.errors import MigrationError

Array = npt.NDArray[Any]

_LENGTH_BYTES = 8

# Fields of DumpData, OpInput, OpOutput, OriginalOp and Shape, by number.
_OUTPUT, _INPUT, _OP_NAME = 3, 4, 6
_DATA_TYPE, _FORMAT, _SHAPE, _ORIGINAL, _OUTPUT_DATA, _OUTPUT_SIZE = 1, 2, 3, 4, 5, 6
_INPUT_DATA, _INPUT_SIZE = 4, 5
_ORIGINAL_NAME, _ORIGINAL_INDEX = 1, 2
_DIM = 1

# Formats whose elements lie in the order of the shape: NCHW, NHWC, ND, NCDHW, NC. The others are tiled.
_PLAIN_FORMATS = (0, 1, 2, 30, 35)
_BFLOAT16 = 27
_DTYPES: Mapping[int, str] = {
    1: "<f4",
    2: "<f2",
    3: "i1",
    4: "u1",
    5: "<i2",
    6: "<u2",
    7: "<i4",
    8: "<i8",
    9: "<u4",
    10: "<u8",
    11: "?",
    12: "<f8",
    _BFLOAT16: "<u2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dumped:
    """One output. node, index: of the ONNX graph. value: None if its layout is not one of rows (`reason` says)."""

    node: str
    index: int
    value: Array | None
    reason: str = ""


def dumped_tensors(graph: LayerGraph, folder: Path) -> tuple[dict[str, Array], list[str]]:
    """Return the tensors of a graph that a dump has, and why others of it are left out. Raises MigrationError."""
    outputs = {(layer.name, index): name for layer in graph.layers for index, name in enumerate(layer.outputs)}
    found: dict[str, Array] = {}
    left_out = []
    for dumped in read_dump(folder):
        tensor = outputs.get((dumped.node, dumped.index))
        if tensor is None:
            left_out.append(f"{dumped.node}:{dumped.index} is no output of the ONNX graph")
        elif dumped.value is None:
            left_out.append(f"{tensor}: {dumped.reason}")
        else:
            found[tensor] = dumped.value
    return found, left_out


def read_dump(folder: Path) -> Iterator[Dumped]:
    """Yield the outputs of every dump file below a folder. Raises MigrationError for a file that is damaged."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name.count(".") >= 4)
    if not files:
        raise MigrationError(f"there is no dump file (TYPE.NAME.TASK.STREAM.TIMESTAMP) below {folder}")
    for path in files:
        try:
            yield from _read_file(path)
        except (FieldError, ValueError) as error:
            raise MigrationError(f"{path} is no dump file of AscendCL: {error}") from error


def _read_file(path: Path) -> Iterator[Dumped]:
    content = path.read_bytes()
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if len(content) < _LENGTH_BYTES + length:
        raise ValueError(f"its header should have {length} bytes, the file ends before")
    header = fields(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    offset = _LENGTH_BYTES + length
    for each in header.get(_INPUT, []):
        described = fields(_bytes(each))
        offset += 0 if described.get(_INPUT_DATA) else _number(described, _INPUT_SIZE)
    names = header.get(_OP_NAME)
    own_name = _bytes(names[0]).decode() if names else path.name.split(".")[1]
    for index, each in enumerate(header.get(_OUTPUT, [])):
        described = fields(_bytes(each))
        if embedded := described.get(_OUTPUT_DATA):
            data = _bytes(embedded[0])
        else:
            data = content[offset : offset + _number(described, _OUTPUT_SIZE)]
            offset += _number(described, _OUTPUT_SIZE)
        yield _output(described, data, own_name, index)


def _output(described: Fields, data: bytes, own_name: str, own_index: int) -> Dumped:
    node, index = own_name, own_index
    if original := described.get(_ORIGINAL):
        of = fields(_bytes(original[0]))
        if name := of.get(_ORIGINAL_NAME):
            node, index = _bytes(name[0]).decode(), _number(of, _ORIGINAL_INDEX)
    kind, layout = _number(described, _DATA_TYPE), _number(described, _FORMAT)
    if layout not in _PLAIN_FORMATS:
        return Dumped(
            node=node, index=index, value=None, reason=f"format {layout} is tiled, its elements are not in order"
        )
    if kind not in _DTYPES:
        return Dumped(node=node, index=index, value=None, reason=f"data type {kind} is not known")
    return Dumped(node=node, index=index, value=_array(data, kind, _dims(described)))


def _array(data: bytes, kind: int, shape: tuple[int, ...]) -> Array:
    dtype = np.dtype(_DTYPES[kind])
    count = math.prod(shape)
    if len(data) < count * dtype.itemsize:
        raise ValueError(f"an output of shape {list(shape)} needs {count * dtype.itemsize} bytes, it has {len(data)}")
    values = np.frombuffer(data, dtype, count).reshape(shape)
    if kind == _BFLOAT16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values


def _dims(described: Fields) -> tuple[int, ...]:
    """Return the shape; its numbers come packed or one by one."""
    shape = described.get(_SHAPE)
    if not shape:
        return ()
    dims: list[int] = []
    for value in fields(_bytes(shape[0])).get(_DIM, []):
        dims += [value] if isinstance(value, int) else packed_numbers(value)
    return tuple(dims)


def _number(described: Fields, number: int) -> int:
    value = described.get(number, [0])[-1]
    if not isinstance(value, int):
        raise ValueError(f"field {number} is no number")
    return value


def _bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise ValueError("a field that should hold bytes is a number")
    return value
