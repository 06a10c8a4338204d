"""Tensors as JSON arrays: into raw bytes, and from them in the number format of Triton's writer."""

import json
import math
import re
from collections.abc import Sequence
from itertools import chain

import numpy as np

from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements, split_elements
from npuserve.core.errors import ServeError, invalid
from npuserve.core.tensor import Tensor
from npuserve.service.rest.json_text import to_bytes, to_text
from npuserve.service.rest.members import as_array, internal, parsing

_FLOATS = frozenset({Dtype.FP32, Dtype.FP64})
_SIGNED = frozenset({Dtype.INT8, Dtype.INT16, Dtype.INT32, Dtype.INT64})
_HALVES = frozenset({Dtype.FP16, Dtype.BF16})
_EXPONENT = re.compile(r"(-?)(\d)(?:\.(\d+))?e([+-]\d+)")


def tensor_bytes(name: str, dtype: Dtype, shape: Sequence[int], value: object) -> bytes:
    """Return an input's `data`, nested however it may be, as raw bytes.

    Integers beyond the dtype keep their low bytes, as in Triton. How many elements BYTES has is not checked here.
    Raises ServeError: INTERNAL as Triton for the wrong JSON, INVALID_ARGUMENT for FP16 and BF16.
    """
    if dtype in _HALVES:
        raise invalid(
            f"receiving {dtype.value} data via JSON is not supported. Please use the binary data format for input "
            f"{name}"
        )
    if dtype is Dtype.BYTES:
        return join_elements(to_bytes(element) for element in _strings(value))
    with parsing("data"):
        elements, kinds = _flat(value)
        packed = _packed(dtype, elements, kinds)
        if len(elements) != math.prod(shape):
            raise internal("Shape does not match true shape of 'data' field")
    return packed


def _strings(value: object) -> list[str]:
    with parsing("data"):
        elements, kinds = _flat(value)
    if not kinds <= {str}:
        raise internal("Unable to parse JSON bytes array: attempt to access JSON non-string as string")
    return elements  # type: ignore[return-value]  # all of them are, by the check above


def _flat(value: object) -> tuple[list[object], set[type]]:
    """Return the elements in row-major order, and their types; how deep they nest was bounded by the parser."""
    elements = as_array(value)
    kinds = set(map(type, elements))
    while list in kinds:
        if len(kinds) == 1:
            elements = list(chain.from_iterable(elements))  # type: ignore[arg-type]  # all of them are lists
        else:
            elements = [leaf for element in elements for leaf in (element if isinstance(element, list) else (element,))]
        kinds = set(map(type, elements))
    return elements, kinds


def _packed(dtype: Dtype, elements: list[object], kinds: set[type]) -> bytes:
    if dtype is Dtype.BOOL:
        return _array(elements, np.dtype(np.bool_), kinds <= {bool}, _wrong("boolean", "boolean")).tobytes()
    if dtype in _FLOATS:
        wide = _array(elements, np.dtype("<f8"), kinds <= {int, float}, _wrong("number", "double"))
        with np.errstate(over="ignore"):
            return wide.astype(dtype.numpy).tobytes()
    if dtype in _SIGNED:
        refusal = _wrong("signed-integer", "signed-integer")
        return _array(elements, np.dtype("<i8"), kinds <= {int}, refusal).astype(dtype.numpy).tobytes()
    refusal = _wrong("unsigned-integer", "unsigned-integer")
    return _array(elements, np.dtype("<u8"), kinds <= {int}, refusal).astype(dtype.numpy).tobytes()


def _array(
    elements: list[object], dtype: np.dtype[np.generic], fits: bool, refusal: ServeError
) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    if not fits:
        raise refusal
    try:
        return np.array(elements, dtype=dtype)
    except OverflowError as error:
        raise refusal from error


def _wrong(given: str, wanted: str) -> ServeError:
    return internal(f"attempt to access JSON non-{given} as {wanted}")


def tensor_json(tensor: Tensor) -> str:
    """Return an output's elements as a flat JSON array. Raises ServeError (INVALID_ARGUMENT) for FP16 and BF16."""
    if tensor.dtype in _HALVES:
        raise invalid(
            f"sending {tensor.dtype.value} data via JSON is not supported. Please use the binary data format for output"
        )
    if tensor.dtype is Dtype.BYTES:
        return dump_json([to_text(element) for element in split_elements(tensor.data)])
    array = np.frombuffer(tensor.data, dtype=tensor.dtype.numpy)
    return format_numbers(array.tolist())


def format_numbers(values: Sequence[object]) -> str:
    """Return numbers or booleans as a JSON array: floats in the fewest digits, without exponent from 1e-6 to 1e21."""
    text = dump_json(values)
    return _EXPONENT.sub(_without_exponent, text) if "e" in text else text


def dump_json(value: object) -> str:
    """Return JSON without blanks, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _without_exponent(match: re.Match[str]) -> str:
    sign, first, rest, exponent = match[1], match[2], match[3] or "", int(match[4])
    digits = first + rest
    if 0 <= exponent <= 20:
        return f"{sign}{digits.ljust(exponent + 1, '0')}.0"
    if -6 <= exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    return f"{sign}{first}{'.' + rest if rest else ''}e{exponent}"
