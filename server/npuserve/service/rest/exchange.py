"""An HTTP exchange as the handlers see it, whatever carries it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request whose body is complete.

    path: as it came, without the query. headers: names in lower case, equal ones joined by ", ".
    body: as it came, not decompressed. peer: as in `service.call.Call`.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    peer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What is answered. The front end adds Content-Length, or chunks a body that is an iterator.

    An iterator that raises ends the connection.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | AsyncIterator[bytes] = b""


HttpHandler = Callable[[HttpRequest], Awaitable[HttpResponse]]
