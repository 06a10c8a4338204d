"""HTTP over asyncio, on our own wire: REST on one port, the metrics on another."""

import asyncio

from npuserve._wire import HttpEndpoint, HttpLimits
from npuserve.config.http_options import HttpOptions
from npuserve.observability.requests import RequestObserver
from npuserve.service.rest.exchange import HttpHandler
from npuserve.transport.http_calls import HttpCalls
from npuserve.transport.listen import BACKLOG, host_port, tcp_sockets
from npuserve.transport.native_routes import Routes, close_connections, log_failure, native_routes, observe

EXITING = "Server exiting"


class HttpFrontEnd:
    """Serves a handler, and the routes past it, on a port.

    routes: inferences of the binary shape that need no Python; None: there are none, as where the calls of a group are
    restricted. title: what the log calls it, `HTTPService` or `Metrics Service`. observer: is told of the requests that
    the routes answer, as far as it wants: see `ask_observer`. limits: the wire's; None: its defaults.
    """

    def __init__(
        self,
        handler: HttpHandler,
        options: HttpOptions,
        *,
        routes: Routes | None = None,
        title: str = "HTTPService",
        observer: RequestObserver | None = None,
        limits: HttpLimits | None = None,
    ) -> None:
        self.title = title
        self._options = options
        self._routes = routes
        self._observer = observer
        self._limits = HttpLimits() if limits is None else limits
        self._calls = HttpCalls(handler, max_unsent_bytes=self._limits.as_dict()["max_unsent_bytes"])
        self._endpoint: HttpEndpoint | None = None
        self._servers: list[asyncio.Server] = []

    def __repr__(self) -> str:
        address = host_port(self._options.address, self._options.port)
        return f"<HttpFrontEnd {self.title} {address} {self._endpoint!r}>"

    async def start(self) -> str:
        """Open the port and serve; return the address. Raises FrontEndError if the port cannot be had."""
        options = self._options
        service = self.title.removesuffix("Service").strip()
        sockets = tcp_sockets(options.address, options.port, reuse_port=options.reuse_port, service=service)
        endpoint = self._endpoint = self._make_endpoint()
        loop = asyncio.get_running_loop()
        for opened in sockets:
            self._servers.append(await loop.create_server(endpoint.protocol, sock=opened, backlog=BACKLOG))
        return host_port(options.address, sockets[0].getsockname()[1])

    def stop_accepting(self) -> None:
        """Refuse new requests with 503 and close idle connections; accepted requests go on.

        The port stays open until all are answered, so that each refusal says why.
        """
        if self._endpoint is not None:
            self._endpoint.refuse_new_requests(503, EXITING)

    async def drain(self) -> None:
        """Return when every accepted request has been answered."""
        if self._endpoint is not None:
            await self._endpoint.wait_until_no_requests()

    async def stop(self) -> None:
        """Close the sockets and the connections; requests that are still open are cancelled."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        if self._endpoint is not None:
            await close_connections(self._endpoint, self._endpoint.open_requests)
        await self._calls.cancel()

    async def release(self) -> None:
        """Stop watching for completions."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.close()

    def ask_observer(self) -> None:
        """Ask the observer anew what it wants to be told of: to be called whenever that changes, as settings do."""
        if self._endpoint is not None:
            observe(self._endpoint, self._observer, "http")

    def _make_endpoint(self) -> HttpEndpoint:
        endpoint = HttpEndpoint(self._limits, self._calls.dispatch, on_failure=log_failure)
        observe(endpoint, self._observer, "http")
        endpoint.start(asyncio.get_running_loop())
        if self._routes is not None:
            endpoint.set_routes(native_routes(self._routes))
            self._routes.watch(self._replace_routes)
        return endpoint

    def _replace_routes(self) -> None:
        if self._endpoint is not None and self._routes is not None:
            self._endpoint.set_routes(native_routes(self._routes))
