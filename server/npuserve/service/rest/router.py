"""Which handler answers a path, and for which methods: the paths of the v2 protocol and its extensions."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from npuserve.config.restricted import Key
from npuserve.service.rest.answers import refusal
from npuserve.service.rest.exchange import HttpRequest, HttpResponse

GET = frozenset({"GET"})
POST = frozenset({"POST"})
GET_OR_POST = GET | POST


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of path.

    path: a regular expression for the whole of it, whose groups become the handler's arguments; a group that matches
    nothing is "". group: which calls it belongs to, by the names of config.restricted.GROUPS.
    """

    path: str
    methods: frozenset[str]
    group: str
    handler: Callable[..., Awaitable[HttpResponse]]


class Router:
    """Finds the handler of a request and calls it.

    keys: of each group of calls that is restricted, the header that a request must carry.
    """

    def __init__(self, routes: Sequence[Route], keys: Mapping[str, Key]) -> None:
        self._routes = [_Compiled(re.compile(route.path), route) for route in routes]
        self._keys = dict(keys)

    async def answer(self, http: HttpRequest) -> HttpResponse:
        """Return the handler's response, or 404, 405, 403. Raises ServeError as the handlers."""
        path = http.path.partition("?")[0]
        for compiled in self._routes:
            if match := compiled.path.fullmatch(path):
                return await self._call(compiled.route, http, match)
        return refusal(404, "Not Found")

    async def _call(self, route: Route, http: HttpRequest, match: re.Match[str]) -> HttpResponse:
        key = self._keys.get(route.group)
        if key is not None and http.headers.get(key.header) != key.value:
            return refusal(403, f"This API is restricted, expecting header '{key.header}'")
        if http.method not in route.methods:
            return refusal(405, "Method Not Allowed")
        return await route.handler(http, *match.groups(default=""))


@dataclass(frozen=True, slots=True)
class _Compiled:
    path: re.Pattern[str]
    route: Route = field(repr=False)
