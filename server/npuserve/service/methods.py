"""The method table: what every front end serves, path by path."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from npuserve.service.call import Call

# A table of many message types: each handler knows its own, the table cannot.
UnaryHandler = Callable[[Any, Call], Awaitable[Message]]
StreamHandler = Callable[[AsyncIterator[Any], Call], AsyncIterator[Message]]


@dataclass(frozen=True, slots=True)
class UnaryMethod:
    """One request, one response. The handler raises ServeError for what the client is to see."""

    path: str
    request: type[Message]
    response: type[Message]
    handler: UnaryHandler


@dataclass(frozen=True, slots=True)
class StreamMethod:
    """A stream of requests, a stream of responses."""

    path: str
    request: type[Message]
    response: type[Message]
    handler: StreamHandler


Method = UnaryMethod | StreamMethod


class MethodTable(Mapping[str, Method]):
    """Methods by path (`/package.Service/Method`); every path is served once."""

    def __init__(self, *families: list[Method]) -> None:
        self._methods: dict[str, Method] = {}
        for method in (method for family in families for method in family):
            if method.path in self._methods:
                raise ValueError(f"{method.path} is served twice")
            self._methods[method.path] = method

    def __getitem__(self, path: str) -> Method:
        return self._methods[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._methods)

    def __len__(self) -> int:
        return len(self._methods)

    def services(self) -> list[str]:
        """Return the full names of the services that have a method here, sorted."""
        return sorted({path.split("/")[1] for path in self._methods})
