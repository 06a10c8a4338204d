"""Takes JSON values apart, with the refusals of Triton's JSON library (INTERNAL: HTTP status 500)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode

_LARGEST_UNSIGNED = 2**64 - 1


def internal(message: str) -> ServeError:
    """Return an INTERNAL error, which is what Triton answers to JSON of the wrong form."""
    return ServeError(StatusCode.INTERNAL, message)


@contextmanager
def parsing(key: str) -> Iterator[None]:
    """Name the member in refusals: `Unable to parse 'key': ...`."""
    try:
        yield
    except ServeError as error:
        raise ServeError(error.status, f"Unable to parse '{key}': {error.message}") from error


def member(value: object, key: str) -> object:
    """Return a member of an object. Raises ServeError, also if the value is no object."""
    if not isinstance(value, dict) or key not in value:
        raise internal(f"attempt to access non-existing object member '{key}'")
    found: object = value[key]
    return found


def find(value: object, key: str) -> object | None:
    """Return a member of an object; None if it is absent or null, or if the value is no object."""
    return value.get(key) if isinstance(value, dict) else None


def members(value: object) -> Mapping[str, object]:
    """Return the members of an object. Raises ServeError."""
    if not isinstance(value, dict):
        raise internal("attempt to get members for non-object")
    return value


def as_string(value: object) -> str:
    """Return a string. Raises ServeError."""
    if not isinstance(value, str):
        raise internal("attempt to access JSON non-string as string")
    return value


def as_boolean(value: object) -> bool:
    """Return a boolean. Raises ServeError."""
    if not isinstance(value, bool):
        raise internal("attempt to access JSON non-boolean as boolean")
    return value


def as_unsigned(value: object) -> int:
    """Return an integer of 0 to 2^64-1. Raises ServeError."""
    if type(value) is not int or not 0 <= value <= _LARGEST_UNSIGNED:
        raise internal("attempt to access JSON non-unsigned-integer as unsigned-integer")
    return value


def as_array(value: object) -> list[object]:
    """Return an array. Raises ServeError."""
    if not isinstance(value, list):
        raise internal("attempt to access JSON non-array as array")
    return value
