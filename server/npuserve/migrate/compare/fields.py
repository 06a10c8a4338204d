"""A protobuf message without its schema: the values of its fields, by number."""

from collections.abc import Mapping, Sequence

Value = int | bytes
Fields = Mapping[int, Sequence[Value]]

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


class FieldError(ValueError):
    """The bytes are no message."""


def fields(message: bytes) -> Fields:
    """Return every field's values in their order: numbers, or bytes for texts and messages. Raises FieldError."""
    found: dict[int, list[Value]] = {}
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        value: Value
        if kind == _VARINT:
            value, at = _varint(message, at)
        elif kind in (_BYTES, _FIXED_64, _FIXED_32):
            size = {_FIXED_64: 8, _FIXED_32: 4}.get(kind)
            if size is None:
                size, at = _varint(message, at)
            if at + size > len(message):
                raise FieldError(f"field {key >> 3} ends beyond the message")
            value, at = message[at : at + size], at + size
        else:
            raise FieldError(f"wire type {kind} at byte {at} is none")
        found.setdefault(key >> 3, []).append(value)
    return found


def packed_numbers(content: bytes) -> list[int]:
    """Return the numbers of a packed field. Raises FieldError."""
    numbers = []
    at = 0
    while at < len(content):
        number, at = _varint(content, at)
        numbers.append(number)
    return numbers


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for place in range(_LONGEST_VARINT):
        if at + place >= len(message):
            raise FieldError("the message ends within a number")
        byte = message[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise FieldError(f"the number at byte {at} does not end")
