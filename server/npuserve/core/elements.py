"""BYTES tensors in raw form: a 4-byte little-endian length before each element."""

import struct
from collections.abc import Iterable, Iterator

_LENGTH = struct.Struct("<I")


def join_elements(elements: Iterable[bytes]) -> bytes:
    """Return elements in raw form."""
    return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))


def split_elements(content: bytes | memoryview) -> Iterator[bytes]:
    """Yield the elements of raw content, which must be whole. Raises ValueError if it is not."""
    position = 0
    while position < len(content):
        start = position + _LENGTH.size
        if start > len(content):
            raise ValueError("the length of an element is incomplete")
        position = start + _LENGTH.unpack_from(content, start - _LENGTH.size)[0]
        if position > len(content):
            raise ValueError("an element is incomplete")
        yield bytes(content[start:position])
