"""Request headers that become parameters of the request, where the server was told to forward them."""

import re
from collections.abc import Iterable

from npuserve.core.errors import invalid

_RESERVED = frozenset(
    {
        *("sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers"),
        "binary_data_output",
    }
)


def forward_pattern(text: str) -> re.Pattern[str] | None:
    """Return the pattern of `--grpc-header-forward-pattern` or `--http-header-forward-pattern`, None if it is empty.

    It matches within a name and disregards case, unless it starts with `(?-i)`. Raises ValueError.
    """
    if not text:
        return None
    heeds_case = text.startswith("(?-i)")
    try:
        return re.compile(text.removeprefix("(?-i)"), 0 if heeds_case else re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"invalid header forward pattern '{text}': {error}") from error


def forwarded_headers(pattern: re.Pattern[str], headers: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Return the headers whose name the pattern matches; of equal names the last counts.

    Raises ServeError (INVALID_ARGUMENT) for a name that means something as a request's parameter.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        if not pattern.search(name):
            continue
        if name in _RESERVED or name.startswith("triton_"):
            raise invalid(f"Header '{name}' is reserved for Triton usage and cannot be forwarded.")
        found[name] = value if isinstance(value, str) else value.decode("latin-1")
    return found
