"""The native front end: our own gRPC over asyncio, on the sockets of this process."""

import asyncio

from npuserve._wire import Endpoint, Limits, SharedRegions
from npuserve.config.grpc_limits import GrpcLimits
from npuserve.config.grpc_options import GrpcOptions
from npuserve.core.status import StatusCode
from npuserve.observability.requests import RequestObserver
from npuserve.service.call import SHUTTING_DOWN
from npuserve.service.methods import MethodTable
from npuserve.service.mirrored import MirroredModels
from npuserve.service.regions import SharedMemoryRegions
from npuserve.service.routes import INFER_PATH
from npuserve.transport.listen import BACKLOG, UnixListener, host_port, tcp_sockets
from npuserve.transport.native_routes import (
    CLOSE_SECONDS,
    Routes,
    close_connections,
    log_failure,
    native_routes,
    observe,
)
from npuserve.transport.tls import server_context
from npuserve.transport.wire_calls import WireCalls

# Of zlib, by Triton's names.
_COMPRESSION_LEVELS = {"none": 0, "low": 1, "medium": 6, "high": 9}
_NS_PER_MS = 1_000_000


class WireFrontEnd:
    """Serves a method table, and the routes past it, on a port and perhaps a Unix socket.

    observer: is told of the requests that the routes answer, as far as it wants: see `ask_observer`.
    regions: the shared memory that requests may refer to; those that are registered from now on need no Python.
    mirrored: the models whose requests a shadow is told of; None: there is no shadow.
    Raises FrontEndError if the TLS files cannot be used.
    """

    title = "GRPCInferenceService"

    def __init__(
        self,
        methods: MethodTable,
        routes: Routes,
        options: GrpcOptions,
        observer: RequestObserver | None = None,
        *,
        regions: SharedMemoryRegions | None = None,
        mirrored: MirroredModels | None = None,
    ) -> None:
        self._options = options
        self._observer = observer
        self._routes = routes
        self._regions = regions
        self._mirrored = mirrored
        self._region_table = SharedRegions()
        if regions is not None:
            regions.follow(self._region_table)
        self._tls = None if options.tls is None else server_context(options.tls)
        self._limits = _limits(options.limits)
        self._calls = WireCalls(methods, max_unsent_bytes=self._limits.as_dict()["max_unsent_bytes"])
        self._endpoint: Endpoint | None = None
        self._servers: list[asyncio.Server] = []
        self._unix: UnixListener | None = None

    def __repr__(self) -> str:
        address = host_port(self._options.address, self._options.port)
        return f"<WireFrontEnd {address} {self._endpoint!r}>"

    async def start(self) -> str:
        """Open the port and serve; return the address. Raises FrontEndError if one of the sockets cannot be had."""
        options = self._options
        sockets = tcp_sockets(options.address, options.port, reuse_port=options.reuse_port)
        try:
            self._unix = None if options.unix_socket is None else UnixListener(options.unix_socket)
        except BaseException:
            for opened in sockets:
                opened.close()
            raise
        endpoint = self._endpoint = self._make_endpoint()
        loop = asyncio.get_running_loop()
        for opened in sockets:
            server = await loop.create_server(
                endpoint.protocol,
                sock=opened,
                backlog=BACKLOG,
                ssl=self._tls,
                ssl_handshake_timeout=options.limits.handshake_timeout_ms / 1000 if self._tls else None,
                ssl_shutdown_timeout=CLOSE_SECONDS if self._tls else None,
            )
            self._servers.append(server)
        address = host_port(options.address, sockets[0].getsockname()[1])
        if self._unix is None:
            return address
        # In clear text even beside TLS: who may open the file is the file system's to say.
        self._servers.append(await loop.create_unix_server(endpoint.protocol, sock=self._unix.socket, backlog=BACKLOG))
        return f"{address} and unix:{self._unix.path}"

    def stop_accepting(self) -> None:
        """Refuse new calls. The port stays open until all are answered, so that each refusal says why."""
        if self._endpoint is not None:
            self._endpoint.refuse_new_calls(StatusCode.UNAVAILABLE, SHUTTING_DOWN)

    async def drain(self) -> None:
        """Return when every accepted call has been answered."""
        if self._endpoint is not None:
            await self._endpoint.wait_until_no_calls()

    async def stop(self) -> None:
        """Close the sockets and the connections; calls that are still open are cancelled."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        if self._unix is not None:
            self._unix.close()
        if self._endpoint is not None:
            await close_connections(self._endpoint, self._endpoint.open_calls)
        await self._calls.cancel()

    async def release(self) -> None:
        """Stop watching for completions."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.close()

    def _make_endpoint(self) -> Endpoint:
        level = _COMPRESSION_LEVELS[self._options.infer_response_compression_level]
        endpoint = Endpoint(
            self._limits,
            self._calls.dispatch,
            on_failure=log_failure,
            infer_path=INFER_PATH,
            response_compression_level=level,
        )
        if self._regions is not None:
            endpoint.share_regions(self._region_table, self._regions.allows)
        if self._mirrored is not None:
            mirror = self._mirrored.options
            endpoint.mirror(mirror.ring, share=mirror.share, most_bytes=mirror.most_bytes)
        observe(endpoint, self._observer, "grpc")
        endpoint.start(asyncio.get_running_loop())
        self._set_routes(endpoint)
        self._routes.watch(self._replace_routes)
        return endpoint

    def ask_observer(self) -> None:
        """Ask the observer anew what it wants to be told of: to be called whenever that changes, as settings do."""
        if self._endpoint is not None:
            observe(self._endpoint, self._observer, "grpc")

    def _replace_routes(self) -> None:
        if self._endpoint is not None:
            self._set_routes(self._endpoint)

    def _set_routes(self, endpoint: Endpoint) -> None:
        endpoint.set_routes(native_routes(self._routes))
        if self._mirrored is not None:
            endpoint.set_mirrored(self._mirrored.current())


def _limits(limits: GrpcLimits) -> Limits:
    return Limits(
        max_message_bytes=limits.max_message_bytes,
        memory_budget_bytes=limits.memory_budget_bytes,
        max_header_list_bytes=limits.max_header_list_bytes,
        max_concurrent_streams=limits.max_concurrent_streams,
        max_connections=limits.max_connections,
        max_resets_per_second=limits.max_resets_per_second,
        handshake_timeout_ns=limits.handshake_timeout_ms * _NS_PER_MS,
        slow_writer_timeout_ns=limits.slow_writer_timeout_ms * _NS_PER_MS,
        slow_reader_timeout_ns=limits.slow_reader_timeout_ms * _NS_PER_MS,
        keepalive_time_ns=limits.keepalive_time_ms * _NS_PER_MS,
        keepalive_timeout_ns=limits.keepalive_timeout_ms * _NS_PER_MS,
        keepalive_permit_without_calls=limits.keepalive_permit_without_calls,
        max_pings_without_data=limits.max_pings_without_data,
        min_recv_ping_interval_ns=limits.min_recv_ping_interval_ms * _NS_PER_MS,
        max_ping_strikes=limits.max_ping_strikes,
        max_connection_idle_ns=limits.max_connection_idle_ms * _NS_PER_MS,
        max_connection_age_ns=limits.max_connection_age_ms * _NS_PER_MS,
        max_connection_age_grace_ns=limits.max_connection_age_grace_ms * _NS_PER_MS,
    )
