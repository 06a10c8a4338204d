"""Compressed bodies: gzip and deflate, in and out."""

import asyncio
import zlib

from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode

ENCODINGS = ("gzip", "deflate")
# zlib's window sizes stand for the containers: 31 is gzip, 15 zlib's own, which HTTP calls deflate (RFC 9110 §8.4.1).
_WINDOWS = {"gzip": 31, "deflate": 15}
# What takes longer than a small part of a millisecond is done beside the event loop.
_LARGE_BYTES = 32 * 1024
_LEVEL = 1


async def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Unpack a request's body.

    encoding: its Content-Encoding; "" and `identity` leave it as it is. Raises ServeError: UNIMPLEMENTED (another
    encoding), INVALID_ARGUMENT (not in that form, cut short, or it unpacks to more than `max_bytes`).
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOWS:
        raise ServeError(StatusCode.UNIMPLEMENTED, "Unsupported compression type")
    if len(body) <= _LARGE_BYTES:
        return _decompressed(body, encoding, max_bytes)
    return await asyncio.to_thread(_decompressed, body, encoding, max_bytes)


async def compress(body: bytes, encoding: str) -> bytes:
    """Pack a response's body in one of ENCODINGS."""
    if len(body) <= _LARGE_BYTES:
        return _compressed(body, encoding)
    return await asyncio.to_thread(_compressed, body, encoding)


def preferred_encoding(accepted: str) -> str:
    """Return which of ENCODINGS an Accept-Encoding header likes best, the first of equals; "" if none.

    As in Triton `*` means none of them, and `identity` may win.
    """
    best, best_quality = "", 0.0
    for part in accepted.split(","):
        name, _, parameter = part.partition(";")
        name = name.strip().lower()
        quality = _quality(parameter)
        if (name in ENCODINGS or name == "identity") and quality > best_quality:
            best, best_quality = name, quality
    return best if best in ENCODINGS else ""


def _quality(parameter: str) -> float:
    key, equals, value = parameter.partition("=")
    if key.strip().lower() != "q" or not equals:
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _decompressed(body: bytes, encoding: str, max_bytes: int) -> bytes:
    reader = zlib.decompressobj(wbits=_WINDOWS[encoding])
    try:
        content = reader.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise invalid(f"the request body is not valid {encoding} data") from error
    if len(content) > max_bytes:
        raise invalid(
            f"the decompressed request exceeds the maximum allowed input size of {max_bytes} bytes. Use "
            "--http-max-input-size to increase the limit."
        )
    if not reader.eof:
        raise invalid(f"the request body is not valid {encoding} data")
    return content


def _compressed(body: bytes, encoding: str) -> bytes:
    writer = zlib.compressobj(_LEVEL, wbits=_WINDOWS[encoding])
    return writer.compress(body) + writer.flush()
