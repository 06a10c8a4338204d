"""Protobuf's binary format written field by field: also what protobuf's own writer never makes."""


def varint(number: int, padding: int = 0) -> bytes:
    """`padding` bytes longer than need be."""
    encoded = bytearray()
    while number > 127 or padding > 0:
        padding -= number <= 127
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def tag(number: int, wire_type: int, padding: int = 0) -> bytes:
    return varint(number << 3 | wire_type, padding)


def field(number: int, content: bytes, padding: int = 0) -> bytes:
    return tag(number, 2) + varint(len(content), padding) + content
