"""Inference over gRPC as it should be: data types, raw and typed contents, outputs, classes, shapes, versions."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from support.golden_calls import NamedCalls, Tensor, floats, infer, integers, strings, text, values
from support.golden_models import DTYPES

_TYPED: dict[str, tuple[str, list[Any]]] = {
    **{"BOOL": ("bool_contents", [True, False, True]), "STRING": ("bytes_contents", [b"a", b"", b"\xff\x00"])},
    **{f"INT{bits}": ("int_contents", [1, -2, 3]) for bits in (8, 16, 32)},
    **{f"UINT{bits}": ("uint_contents", [1, 2, 200]) for bits in (8, 16, 32)},
    **{"INT64": ("int64_contents", [1, -(2**62), 3]), "UINT64": ("uint64_contents", [1, 2**63, 3])},
    **{"FP32": ("fp32_contents", [1.5, -2.0, 0.25]), "FP64": ("fp64_contents", [1.5, -2.0, 1e300])},
}
_NUMPY = {"BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "BF16": "<u2"}


def wire_name(dtype: str) -> str:
    """The data type's name in a request."""
    return "BYTES" if dtype == "STRING" else dtype


def _raw(dtype: str, count: int) -> bytes:
    if dtype == "STRING":
        return strings(*(f"text {index}" for index in range(count)))
    kind = _NUMPY.get(dtype) or f"<{'u' if dtype.startswith('U') else 'i'}{int(dtype.removeprefix('U')[3:]) // 8}"
    return np.arange(count).astype(kind).tobytes()


def inference() -> NamedCalls:
    yield from _types()
    yield from _contents()
    yield from _outputs()
    yield from _shapes()
    yield from _versions()
    yield from _parameters()
    yield from _python()


def _types() -> NamedCalls:
    for dtype in DTYPES:
        width = 16 if dtype == "INT32" else 3
        for rows in (1, 2):
            tensor = Tensor(datatype=wire_name(dtype), shape=(rows, width), raw=_raw(dtype, rows * width))
            yield f"raw {dtype}, {rows} rows", infer(f"copy_{dtype}", tensor, id=f"{dtype} {rows}")
    for dtype, contents in _TYPED.items():
        field, numbers = contents
        given = (list(numbers) * 6)[:16] if dtype == "INT32" else numbers
        tensor = Tensor(datatype=wire_name(dtype), shape=(1, len(given)), contents=(field, given))
        yield f"typed {dtype}", infer(f"copy_{dtype}", tensor)


def _contents() -> NamedCalls:
    wide = Tensor(datatype="INT8", shape=(1, 3), contents=("int_contents", [300, -129, 127]))
    yield "typed INT8 out of range", infer("copy_INT8", wide)
    wide = Tensor(datatype="UINT8", shape=(1, 3), contents=("uint_contents", [256, 511, 255]))
    yield "typed UINT8 out of range", infer("copy_UINT8", wide)
    first = floats("INPUT0", (1, 3), 1, 2, 3)
    request = infer("copy_FP32", first)
    request.request.raw_input_contents.append(b"extra")  # type: ignore[union-attr]  # a ModelInferRequest
    yield "a raw entry too many", request
    yield "empty text", infer("copy_STRING", Tensor(datatype="BYTES", shape=(1, 3), raw=strings("", "", "")))
    yield (
        "text that is no UTF-8",
        infer("copy_STRING", Tensor(datatype="BYTES", shape=(1, 3), raw=strings(b"\xff\xfe", b"\x00", b"a"))),
    )
    yield "a BOOL of 2", infer("copy_BOOL", Tensor(datatype="BOOL", shape=(1, 3), raw=bytes([2, 0, 255])))


def _pair(rows: int = 1) -> tuple[Tensor, Tensor]:
    numbers = range(16 * rows)
    return integers("INPUT0", (rows, 16), *numbers), integers("INPUT1", (rows, 16), *([1] * 16 * rows))


def _outputs() -> NamedCalls:
    yield "two inputs", infer("simple", *_pair(), id="pair")
    yield "two inputs, three rows", infer("simple", *_pair(3))
    yield "inputs in another order", infer("simple", *reversed(_pair()))
    for outputs in (["OUTPUT1"], ["OUTPUT0"], ["OUTPUT1", "OUTPUT0"], ["OUTPUT0", "OUTPUT0"]):
        yield f"outputs {outputs}", infer("simple", *_pair(), outputs=outputs)
    yield "ensemble", infer("ensemble", *_renamed(_pair(2), "LEFT", "RIGHT"), id="e")
    yield "ensemble, one output", infer("ensemble", *_renamed(_pair(), "LEFT", "RIGHT"), outputs=["DIFFERENCE"])
    yield from _classes()


def _renamed(tensors: tuple[Tensor, Tensor], *names: str) -> Iterator[Tensor]:
    for tensor, name in zip(tensors, names, strict=True):
        yield Tensor(name=name, datatype=tensor.datatype, shape=tensor.shape, raw=tensor.raw)


def _classes() -> NamedCalls:
    four = floats("INPUT0", (2, 4), 1, 5, -3, 2.5, 0.125, 0, 1e6, -1)
    for count in (1, 2, 4):
        yield f"{count} classes with labels", infer("labelled", four, outputs=[("OUTPUT0", {"classification": count})])
    three = floats("INPUT0", (1, 3), 1, 3, 2)
    yield "classes without labels", infer("copy_FP32", three, outputs=[("OUTPUT0", {"classification": 2})])
    plain = floats("INPUT0", (2, 3), 1, 3, 2, 9, 8, 7)
    yield "classes without batching", infer("plain", plain, outputs=[("OUTPUT0", {"classification": 2})])
    for dtype in ("INT32", "UINT8", "INT64", "FP64"):
        width = 16 if dtype == "INT32" else 3
        tensor = Tensor(datatype=dtype, shape=(1, width), raw=_raw(dtype, width))
        yield f"classes of {dtype}", infer(f"copy_{dtype}", tensor, outputs=[("OUTPUT0", {"classification": 2})])
    numbers = floats("INPUT0", (2, 4), 1, 2, 2, 1, 0, 5, float("nan"), 5)
    yield "classes of equal values and NaN", infer("labelled", numbers, outputs=[("OUTPUT0", {"classification": 4})])
    yield (
        "an output that is not wanted binary",
        infer("copy_FP32", three, outputs=[("OUTPUT0", {"binary_data": False})]),
    )
    one_asked = [("OUTPUT0", {"classification": 1}), "OUTPUT1"]
    yield "classes of one output of two", infer("simple", *_pair(), outputs=one_asked)


def _shapes() -> NamedCalls:
    for width in (1, 5):
        yield f"variable width {width}", infer("variable", floats("INPUT0", (2, width), *range(2 * width)))
    yield "no elements", infer("variable", floats("INPUT0", (1, 0)))
    yield "no elements in two rows", infer("variable", floats("INPUT0", (2, 0)))
    yield (
        "two dims, one variable",
        infer("variable2", Tensor(datatype="INT64", shape=(1, 2, 2), raw=values("<i8", *range(4)))),
    )
    yield "without batching", infer("plain", floats("INPUT0", (2, 3), *range(6)))
    yield "without batching, variable", infer("plain_variable", floats("INPUT0", (3, 2), *range(6)))
    yield "without batching, no rows", infer("plain_variable", floats("INPUT0", (0, 2)))
    yield "variable text", infer("text", text("a", "bc", "模型", shape=(3,)))
    yield "no text", infer("text", Tensor(datatype="BYTES", shape=(0,), raw=b""))
    yield "reshape to a scalar", infer("reshaped", floats("INPUT0", (2, 1), 4, 5))
    yield "reshape to a matrix", infer("reshaped_matrix", floats("INPUT0", (4,), 1, 2, 3, 4))
    yield "largest batch", infer("copy_FP32", floats("INPUT0", (8, 3), *range(24)))
    yield "optional input given", infer("optional", integers("INPUT0", (1, 2), 1, 2), integers("INPUT1", (1, 2), 3, 4))
    yield "optional input left out", infer("optional", integers("INPUT0", (1, 2), 1, 2))


def _versions() -> NamedCalls:
    one = floats("INPUT0", (1, 1), 7)
    for model, versions in (
        ("latest", ("", "11", "2", "1")),
        ("latest_two", ("", "10", "3", "1")),
        ("every", ("", "1", "2", "4", "3")),
        ("specific", ("", "1", "3", "2", "7")),
    ):
        tensor = one if model == "latest" else floats("INPUT0", (1,), 7)
        for version in versions:
            yield f"{model} version '{version}'", infer(model, tensor, version=version)
    for version in ("01", "1abc", "0"):
        yield f"version '{version}'", infer("copy_FP32", floats("INPUT0", (1, 3), 1, 2, 3), version=version)


def _parameters() -> NamedCalls:
    three = floats("INPUT0", (1, 3), 1, 2, 3)
    for name, parameters in {
        "custom parameters": {"text": "a", "number": 3, "flag": True, "ratio": 0.5},
        "priority and timeout": {"priority": 1, "timeout": 1000000},
        "priority as uint64": {"priority": ("uint64_param", 2)},
        "a priority above the levels": {"priority": 99},
        "a sequence on a model without": {"sequence_id": 5, "sequence_start": True, "sequence_end": True},
        "an empty final response in a unary call": {"triton_enable_empty_final_response": True},
    }.items():
        yield name, infer("copy_FP32", three, parameters=parameters, id="p")
    unknown = floats("INPUT0", (1, 3), 1, 2, 3, parameters={"anything": 1})
    yield "unknown parameters of a tensor", infer("copy_FP32", unknown, outputs=[("OUTPUT0", {"anything": "x"})])
    for priority in (0, 1, 2, 3):
        request = integers("INPUT0", (1, 2), 1, 2)
        yield f"priority {priority} of two levels", infer("queued", request, parameters={"priority": priority})
    parameters = {"number": 3, "text": "a", "flag": True, "ratio": 0.5}
    yield "parameters in the model", infer("actor", text("parameters"), parameters=parameters)


def _python() -> NamedCalls:
    for words in ("echo", "arguments", "slow 0.05", "nothing", "misnamed", "call copy_FP32", "call nope", "call plain"):
        yield f"model told '{words}'", infer("actor", text(words), id="told")
    yield "the request as the model sees it", infer("actor", text("request"), id="seen", outputs=["OUTPUT0"])
    yield "two rows of text", infer("actor", text("a", "b", shape=(2, 1)))
